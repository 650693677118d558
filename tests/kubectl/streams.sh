# Conversations with pods: exec, attach, cp; and kubectl as a proxy of the API.
# shellcheck shell=bash disable=SC2154

expect 'pod/talk created' k apply -f - <<POD
apiVersion: v1
kind: Pod
metadata: {name: talk}
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
expect '^talk$' k exec talk -- hostname
expect '^typed$' k exec -i talk -- cat <<<typed
refuse 'exit code 7' k exec talk -- sh -c 'exit 7'
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
kill "${background[-1]}"

expect 'pod "talk" (force )?deleted' k delete pod talk --now
