# Conversations with pods: exec, attach, cp, port-forward, debug, each also over SPDY, as older
# kubectl speaks it; and kubectl as a proxy of the API, of pods and of Services.
# shellcheck shell=bash disable=SC2154

expect 'pod/talk created' k apply -f - <<POD
apiVersion: v1
kind: Pod
metadata: {name: talk, labels: {app: talk}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: talk
    image: $IMAGE
    stdin: true
    ports: [{containerPort: 8080}]
    command: [sh, -c]
    args:
    - |
      mkdir /www; echo served > /www/index.html; httpd -p 8080 -h /www
      while read -r line; do echo "heard \$line"; done
      sleep 86400
POD
expect 'condition met' k wait --for=condition=Ready pod/talk --timeout="$DEADLINE"
for websockets in true false; do
    export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=$websockets KUBECTL_PORT_FORWARD_WEBSOCKETS=$websockets
    expect '^talk$' k exec talk -- hostname
    expect '^typed$' k exec -i talk -- cat <<<typed
    refuse 'exit code 7' k exec talk -- sh -c 'exit 7'
    refuse 'not valid for pod talk' k exec talk -c none -- true

    "$KUBECTL" -n "$NAMESPACE" port-forward pod/talk :8080 :9 >"$scratch/forward" 2>&1 &
    background+=($!)
    eventually '127.*-> 9' cat "$scratch/forward"
    forwarded=($(sed -n 's/^Forwarding from \(127[^ ]*\) .*/\1/p' "$scratch/forward"))
    expect '^served$' curl -sS --max-time 10 "http://${forwarded[0]}/"
    expect '^served$' curl -sS --max-time 10 "http://${forwarded[0]}/index.html"
    refuse '' curl -sS --max-time 10 "http://${forwarded[1]}/"
    # After which kubectl gives up all of it, whoever the server is.
    eventually 'error forwarding port 9 to pod .*refused' cat "$scratch/forward"
    kill "${background[-1]}" 2>/dev/null || true
done
unset KUBECTL_REMOTE_COMMAND_WEBSOCKETS KUBECTL_PORT_FORWARD_WEBSOCKETS
refuse 'heard word' timeout 3 bash -c "(echo word; sleep 9) | $KUBECTL -n $NAMESPACE attach -i talk"

head -c 300000 /dev/urandom >"$scratch/original"
expect '' k cp "$scratch/original" talk:/copy
expect '' k cp talk:/copy "$scratch/back"
expect '^same$' bash -c "cmp $scratch/original $scratch/back && echo same"

"$KUBECTL" proxy --port=0 >"$scratch/proxy" 2>&1 &
background+=($!)
eventually 'Starting to serve' cat "$scratch/proxy"
proxy=$(sed 's/.* on //' "$scratch/proxy")
expect '"kind": ?"PodList"' curl -sS --max-time 10 "http://$proxy/api/v1/namespaces/$NAMESPACE/pods"
expect 'service/talk exposed' k expose pod talk --port=80 --target-port=8080 --selector=app=talk
for what in pods/talk:8080 services/talk services/http:talk:80; do
    url=http://$proxy/api/v1/namespaces/$NAMESPACE/$what/proxy
    expect '^served$' curl -sS --max-time 10 "$url/index.html"
    expect '^served$' curl -sSL --max-time 10 "$url"
done
expect 'no such port' curl -sS --max-time 10 "${url%:80/proxy}:81/proxy/"
kill "${background[-1]}"

# As in pods.sh, it waits until somebody listens.
expect 'processes of talk: .*httpd' k debug talk --image="$IMAGE" --target=talk --profile=general \
    -c looker --attach -- sh -c 'sleep 3; echo "processes of talk: $(ps -o args | tr "\n" ,)"'
eventually 'Completed' k get pod talk -o jsonpath='{.status.ephemeralContainerStatuses[*].state}'
expect 'processes of talk' k logs talk -c looker
expect '^true 0$' k get pod talk \
    -o jsonpath='{.status.containerStatuses[0].ready} {.status.containerStatuses[0].restartCount}'
refuse 'may not be (changed|removed)' k patch pod talk --subresource=ephemeralcontainers \
    --type=json -p '[{"op": "remove", "path": "/spec/ephemeralContainers/0"}]'

expect 'pod "talk" (force )?deleted' k delete pod talk --now
