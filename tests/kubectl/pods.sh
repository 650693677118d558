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
