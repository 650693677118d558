//! `kubectl` and the inside of pods: processes and ports, over each protocol it speaks.

use tokio::{io::AsyncReadExt, net::TcpStream};

use super::*;

/// An API with a pod that runs on h2.
async fn running() -> (Api, Kubectl) {
    let (api, kubectl) = started().await;
    let client = api.client();
    let pod = "/api/v1/namespaces/default/pods/alone";
    let binding = json!({"target": {"kind": "Node", "name": "h2"}});
    client.post(&format!("{pod}/binding"), &binding).await.ok();
    let patch = json!({"status": {"phase": "Running"}});
    let status = format!("{pod}/status");
    client.send_json("PATCH", &status, "application/merge-patch+json", &patch).await.ok();
    (api, kubectl)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_talks_to_processes_over_websocket_and_spdy() {
    let (api, mut kubectl) = running().await;
    for websockets in ["true", "false"] {
        kubectl.set("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets);
        talk(&api, &kubectl).await;
    }
}

async fn talk(api: &Api, kubectl: &Kubectl) {
    let ran = kubectl.run("exec alone -- ls -l /").await;
    assert_eq!((&*ran.stdout, ran.status.code()), (&b"hello "[..], Some(3)));
    let (node, request) = api.hosts.ran.lock().unwrap().remove(0);
    assert_eq!((node.as_str(), request.container.as_str()), ("h2", "main"));
    assert_eq!(request.command, ["ls", "-l", "/"]);
    assert!(request.stdout && request.stderr && !request.stdin && !request.tty);

    let mut cat = kubectl.command("exec -i alone -- cat");
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = cat.stdin.take().unwrap();
    input.write_all(b"world").await.unwrap();
    drop(input);
    let ended = tokio::time::timeout(DEADLINE, cat.wait_with_output()).await;
    let ended = ended.expect("it ends with its input").unwrap();
    assert_eq!((&*ended.stdout, ended.status.code()), (&b"hello world"[..], Some(3)));
    let cut = kubectl.run("exec alone -- vanish").await;
    assert_eq!((&*cut.stdout, cut.status.code()), (&b"hello "[..], Some(1)), "it is no success");
    api.hosts.ran.lock().unwrap().clear();

    let attached = kubectl.run("attach alone").await;
    assert_eq!((&*attached.stdout, attached.status.code()), (&b"hello "[..], Some(3)));
    assert!(api.hosts.ran.lock().unwrap()[0].1.command.is_empty());
    api.hosts.ran.lock().unwrap().clear();
    let refused = kubectl.run("exec alone -c none -- ls").await;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("container none is not valid for pod alone"), "{message}");
}

/// Says something to a forwarded port until it is closed, and returns the answer.
async fn ask(address: &str, said: &str) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(DEADLINE, talk).await.expect("it answers in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_forwards_ports_over_websocket_and_spdy() {
    let (_api, mut kubectl) = running().await;
    for websockets in ["true", "false"] {
        kubectl.set("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets);
        let (mut forwarding, mut lines) = kubectl.start("port-forward pod/alone :7 :80 :9");
        let mut addresses = Vec::new();
        while addresses.len() < 3 {
            let line = tokio::time::timeout(DEADLINE, lines.next_line()).await.unwrap();
            let line = line.unwrap().expect("it goes on");
            let from =
                line.strip_prefix("Forwarding from ").and_then(|rest| rest.split_once(" ->"));
            let from = from.filter(|(address, _)| address.starts_with("127."));
            addresses.extend(from.map(|(address, _)| address.to_owned()));
        }
        let [echo, http, nothing] = addresses.as_slice() else { panic!("{addresses:?}") };
        let long = "x".repeat(200_000);
        let get = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        for _ in 0..3 {
            let asked = [ask(echo, "one"), ask(echo, &long), ask(echo, "")];
            let [one, same, empty] = futures::future::join_all(asked).await.try_into().unwrap();
            assert_eq!((one.as_str(), empty.as_str()), ("one", ""));
            assert!(same == long);
            let answer = ask(http, get).await;
            assert!(answer.contains("\"path\":\"/x\""), "{answer}");
        }
        assert_eq!(ask(nothing, "?").await, "");
        forwarding.kill().await.unwrap();
        let output = forwarding.wait_with_output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let why = "error forwarding port 9 to pod default/alone";
        assert!(told.contains(why) && told.contains("nothing listens at port 9"), "{told}");
    }
}
