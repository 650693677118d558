//! The pause image: one static program of some 250 bytes, written here as machine code, so that a
//! host needs neither a registry nor a compiler. Pure.
//!
//! Called with an argument the program makes its own network namespace and gives its privileges up;
//! then it takes the process name [`READY_NAME`] and sleeps until it is killed. Docker's own way to
//! a new namespace runs the engine's binary once more as a hook, which costs as much again as the
//! whole start (measured: 280 ms with `--network none`, 145 ms this way); containers join the
//! namespace through `/proc/PID/ns/net` in both cases.

use std::io;

use crate::archive::{Image, ImageFile, pack};

/// The image's name; the tag changes with the program.
pub(super) const PAUSE_IMAGE: &str = "skein/pause:1";

/// The process name (`/proc/PID/comm`) of a pause whose namespaces are ready.
pub(super) const READY_NAME: &str = "skein-pause";

/// The argument that asks for an own network namespace.
pub(super) const OWN_NETWORK: &str = "net";

/// x86-64:
/// ```text
///       cmp  qword [rsp], 1      ; argc
///       je   named
///       mov  edi, 0x40000000     ; CLONE_NEWNET
///       mov  eax, 272            ; unshare
///       syscall
///       test eax, eax
///       jnz  fail
///       lea  rdi, [rip+header]
///       lea  rsi, [rip+none]
///       mov  eax, 126            ; capset
///       syscall
///       test eax, eax
///       jnz  fail
/// named:mov  edi, 15             ; PR_SET_NAME
///       lea  rsi, [rip+name]
///       mov  eax, 157            ; prctl
///       syscall
/// wait: mov  eax, 34             ; pause
///       syscall
///       jmp  wait
/// fail: mov  edi, 1
///       mov  eax, 60             ; exit
///       syscall
/// ```
#[rustfmt::skip]
const CODE_X86_64: &[u8] = &[
    0x48, 0x83, 0x3c, 0x24, 0x01,
    0x74, 0x29,
    0xbf, 0x00, 0x00, 0x00, 0x40,
    0xb8, 0x10, 0x01, 0x00, 0x00,
    0x0f, 0x05,
    0x85, 0xc0,
    0x75, 0x35,
    0x48, 0x8d, 0x3d, 0x3a, 0x00, 0x00, 0x00,
    0x48, 0x8d, 0x35, 0x3b, 0x00, 0x00, 0x00,
    0xb8, 0x7e, 0x00, 0x00, 0x00,
    0x0f, 0x05,
    0x85, 0xc0,
    0x75, 0x1c,
    0xbf, 0x0f, 0x00, 0x00, 0x00,
    0x48, 0x8d, 0x35, 0x3c, 0x00, 0x00, 0x00,
    0xb8, 0x9d, 0x00, 0x00, 0x00,
    0x0f, 0x05,
    0xb8, 0x22, 0x00, 0x00, 0x00,
    0x0f, 0x05,
    0xeb, 0xf7,
    0xbf, 0x01, 0x00, 0x00, 0x00,
    0xb8, 0x3c, 0x00, 0x00, 0x00,
    0x0f, 0x05,
];

/// AArch64, the same program; it has no `pause` call, `ppoll` of nothing takes its place.
#[rustfmt::skip]
const CODE_AARCH64: &[u8] = &[
    0xe9, 0x03, 0x40, 0xf9, //        ldr  x9, [sp]       ; argc
    0x29, 0x05, 0x00, 0xd1, //        sub  x9, x9, #1
    0x49, 0x01, 0x00, 0xb4, //        cbz  x9, named
    0x00, 0x00, 0xa8, 0xd2, //        movz x0, #0x4000, lsl #16
    0x28, 0x0c, 0x80, 0xd2, //        movz x8, #97        ; unshare
    0x01, 0x00, 0x00, 0xd4, //        svc  #0
    0x20, 0x02, 0x00, 0xb5, //        cbnz x0, fail
    0x60, 0x02, 0x00, 0x10, //        adr  x0, header
    0x81, 0x02, 0x00, 0x10, //        adr  x1, none
    0x68, 0x0b, 0x80, 0xd2, //        movz x8, #91        ; capset
    0x01, 0x00, 0x00, 0xd4, //        svc  #0
    0x80, 0x01, 0x00, 0xb5, //        cbnz x0, fail
    0xe0, 0x01, 0x80, 0xd2, // named: movz x0, #15        ; PR_SET_NAME
    0xa1, 0x02, 0x00, 0x10, //        adr  x1, name
    0xe8, 0x14, 0x80, 0xd2, //        movz x8, #167       ; prctl
    0x01, 0x00, 0x00, 0xd4, //        svc  #0
    0x00, 0x00, 0x80, 0xd2, // wait:  movz x0, #0
    0x01, 0x00, 0x80, 0xd2, //        movz x1, #0
    0x02, 0x00, 0x80, 0xd2, //        movz x2, #0
    0x03, 0x00, 0x80, 0xd2, //        movz x3, #0
    0x28, 0x09, 0x80, 0xd2, //        movz x8, #73        ; ppoll
    0x01, 0x00, 0x00, 0xd4, //        svc  #0
    0xfa, 0xff, 0xff, 0x17, //        b    wait
    0x20, 0x00, 0x80, 0xd2, // fail:  movz x0, #1
    0xa8, 0x0b, 0x80, 0xd2, //        movz x8, #93        ; exit
    0x01, 0x00, 0x00, 0xd4, //        svc  #0
];

/// `struct __user_cap_header_struct` of version 3 for the caller, then two empty sets.
#[rustfmt::skip]
const CAPABILITIES: [u8; 32] = [
    0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// Where the program is loaded; any page-aligned address does.
const BASE: u64 = 0x40_0000;

/// Sizes of the ELF header and of one program header.
const ELF_HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;

/// A processor the pause program is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// The one this program was compiled for; the engine is on the same host.
    pub(super) const fn host() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// `e_machine` of the ELF header.
    const fn machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }

    const fn code(self) -> &'static [u8] {
        match self {
            Self::Amd64 => CODE_X86_64,
            Self::Arm64 => CODE_AARCH64,
        }
    }
}

/// The program as an ELF executable with a single read and execute segment.
fn executable(architecture: Architecture) -> Vec<u8> {
    let headers = u64::from(ELF_HEADER + PROGRAM_HEADER);
    let mut body = architecture.code().to_vec();
    body.extend_from_slice(&CAPABILITIES);
    body.extend_from_slice(READY_NAME.as_bytes());
    body.push(0);
    let size = headers + body.len() as u64;

    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    elf.extend_from_slice(&2_u16.to_le_bytes()); // an executable
    elf.extend_from_slice(&architecture.machine().to_le_bytes());
    elf.extend_from_slice(&1_u32.to_le_bytes());
    for offset in [BASE + headers, u64::from(ELF_HEADER), 0] {
        elf.extend_from_slice(&offset.to_le_bytes()); // entry, program headers, no sections
    }
    elf.extend_from_slice(&0_u32.to_le_bytes());
    for half in [ELF_HEADER, PROGRAM_HEADER, 1, 0, 0, 0] {
        elf.extend_from_slice(&half.to_le_bytes());
    }
    elf.extend_from_slice(&1_u32.to_le_bytes()); // PT_LOAD
    elf.extend_from_slice(&5_u32.to_le_bytes()); // read and execute
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend_from_slice(&word.to_le_bytes());
    }
    elf.extend(body);
    elf
}

/// The image as an archive to be loaded.
pub(super) fn image_archive(architecture: Architecture) -> io::Result<Vec<u8>> {
    let program = executable(architecture);
    pack(&Image {
        tag: PAUSE_IMAGE,
        architecture: architecture.name(),
        entrypoint: &["/pause"],
        files: &[ImageFile { path: "pause", mode: 0o755, content: &program }],
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn data_lies_where_the_code_looks_for_it() {
        // x86-64: `lea rdi, [rip+58]` ends at 0x1e; AArch64: `adr x0, #76` is at 0x1c.
        assert_eq!(CODE_X86_64.len(), 0x1e + 58);
        assert_eq!(CODE_AARCH64.len(), 0x1c + 76);
    }

    #[test]
    fn the_archive_is_the_same_every_time() -> io::Result<()> {
        for architecture in [Architecture::Amd64, Architecture::Arm64] {
            assert_eq!(image_archive(architecture)?, image_archive(architecture)?);
        }
        Ok(())
    }

    #[tokio::test]
    async fn the_program_takes_its_name_and_sleeps_until_killed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pause");
        std::fs::write(&path, executable(Architecture::host())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = tokio::process::Command::new(&path).kill_on_drop(true).spawn().unwrap();
        let comm = format!("/proc/{}/comm", child.id().unwrap());
        tokio::time::timeout(std::time::Duration::from_secs(10), async {
            while std::fs::read_to_string(&comm).unwrap().trim() != READY_NAME {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert!(child.try_wait().unwrap().is_none());
    }
}
