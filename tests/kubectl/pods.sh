# Pods: run, logs, and their end.
# shellcheck shell=bash disable=SC2154

expect 'pod/shell created' k run shell --image="$IMAGE" --labels=app=shell --env=WHO=me \
    --grace-period=0 --overrides='{"spec":{"terminationGracePeriodSeconds":0}}' -- \
    sh -c 'echo first; echo "hello $WHO"; echo last; sleep 86400'
expect 'condition met' k wait --for=condition=Ready pod/shell --timeout="$DEADLINE"
expect 'shell +1/1 +Running +0' k get pod shell
expect 'NOMINATED NODE' k get pod shell -o wide
eventually 'hello me' k logs shell
expect '^last$' k logs shell --tail=1
expect '[0-9]+-[0-9]+-[0-9]+T.* first' k logs shell --timestamps
expect '^first$' k logs shell --limit-bytes=6
expect '\[pod/shell/shell\] first' k logs -l app=shell --prefix
refuse 'first.*last' timeout 3 "$KUBECTL" --namespace "$NAMESPACE" logs -f shell
refuse 'not found|does not exist|is not valid' k logs shell -c absent
refuse 'previous terminated container' k logs shell --previous
expect 'first' k logs shell --since=1h
expect 'Name: +shell.*Status: +Running.*Events:.*Started' k describe pod shell

# What a container says before anybody is attached, nobody hears: it takes its time.
expect 'hello from inside' k run once --image="$IMAGE" --restart=Never --rm --attach --quiet -- sh -c 'sleep 3; echo hello from inside'
# With input it waits for it, so nothing is missed.
expect 'sent.and heard' k run fed --image="$IMAGE" --restart=Never --rm -i --quiet -- sh -c 'cat; echo and heard' <<<sent
expect 'pod/done created' k run "done" --image="$IMAGE" --restart=Never -- sh -c 'exit 3'
expect 'condition met' k wait --for=jsonpath='{.status.phase}'=Failed pod/done --timeout="$DEADLINE"
expect '^3$' k get pod "done" -o 'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}'
expect 'pod "done" deleted' k delete pod "done"
expect 'pod "shell" (force )?deleted' k delete pod shell --now

# A pod is resized while it runs; for more memory its container is made anew, as its policy says.
expect 'pod/sized created' k apply -f - <<<"$(flow "{apiVersion: v1, kind: Pod, metadata: {name: sized}, spec: {
    terminationGracePeriodSeconds: 0, containers: [{name: c, image: '$IMAGE', command: [sleep, '86400'],
    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}],
    resources: {requests: {cpu: 50m, memory: 16Mi}, limits: {cpu: 200m, memory: 32Mi}}}]}}")"
expect 'condition met' k wait --for=condition=Ready pod/sized --timeout="$DEADLINE"
resize() { k patch pod sized --subresource=resize -p "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":$1}]}}"; }
limits=.status.containerStatuses[0].resources.limits
sizes="{$limits.cpu} {$limits.memory}"
expect '^200m 32Mi' k get pod sized -o "jsonpath=$sizes"
expect 'pod/sized patched' resize '{"limits":{"cpu":"400m"}}'
eventually '^400m 32Mi' k get pod sized -o "jsonpath=$sizes"
quota='cat /sys/fs/cgroup/cpu.max 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || echo unreadable'
expect '^(40000|unreadable)' k exec sized -- sh -c "$quota"
expect '^0$' k get pod sized -o 'jsonpath={.status.containerStatuses[0].restartCount}'
expect 'pod/sized patched' resize '{"limits":{"memory":"48Mi"}}'
eventually '^400m 48Mi' k get pod sized -o "jsonpath=$sizes"
eventually '^1$' k get pod sized -o 'jsonpath={.status.containerStatuses[0].restartCount}'
expect 'pod/sized patched' resize '{"requests":{"cpu":"1k"},"limits":{"cpu":"1k"}}'
pending='{.status.conditions[?(@.type=="PodResizePending")].reason}'
eventually '^Infeasible$' k get pod sized -o "jsonpath=$pending"
expect '^400m 48Mi' k get pod sized -o "jsonpath=$sizes"
eventually 'ResizeInfeasible' k get events --field-selector involvedObject.name=sized
refuse 'only cpu and memory resources are mutable' resize '{"limits":{"ephemeral-storage":"1Gi"}}'
refuse 'QOS Class may not change' resize '{"requests":{"cpu":"1k","memory":"48Mi"}}'
refuse 'may not change fields other than' k patch pod sized \
    -p '{"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"300m"}}}]}}'
expect 'pod "sized" (force )?deleted' k delete pod sized --now
