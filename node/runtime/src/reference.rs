//! Image references as Docker reads them. Pure.

/// The short form under which an image is known locally: tag `latest` where none is given, without
/// `docker.io/` and `library/`.
pub(crate) fn familiar(reference: &str) -> String {
    let name = ["docker.io/", "index.docker.io/"]
        .iter()
        .find_map(|prefix| reference.strip_prefix(prefix))
        .unwrap_or(reference);
    let name = name.strip_prefix("library/").unwrap_or(name);
    if has_tag(name) { name.to_owned() } else { format!("{name}:latest") }
}

/// Whether the reference names a tag or a digest.
fn has_tag(reference: &str) -> bool {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    last.contains(':') || last.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn familiar_names_are_short_and_tagged() {
        for (reference, familiar_name) in [
            ("nginx", "nginx:latest"),
            ("nginx:1.27", "nginx:1.27"),
            ("docker.io/library/nginx", "nginx:latest"),
            ("docker.io/team/app:v1", "team/app:v1"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost:5000/app@sha256:00", "localhost:5000/app@sha256:00"),
        ] {
            assert_eq!(familiar(reference), familiar_name, "{reference}");
        }
    }
}
