# Nodes: cordon, drain, taint.
# shellcheck shell=bash disable=SC2154

node=$(k get nodes -o 'jsonpath={.items[0].metadata.name}')
expect "$node +Ready" k get nodes
expect 'Name: +'"$node"'.*Capacity:.*cpu:.*Allocated resources' k describe node "$node"
expect 'cordoned' k cordon "$node"
expect 'SchedulingDisabled' k get node "$node"
expect 'uncordoned' k uncordon "$node"
expect 'tainted' k taint node "$node" test=here:NoSchedule
expect 'untainted' k taint node "$node" test:NoSchedule-
expect 'deployment.apps/spread created' k create deployment spread --image="$IMAGE" --replicas=3 -- sleep 86400
expect 'patched' k patch deployment spread -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0}}}}'
expect 'successfully rolled out' k rollout status deployment/spread --timeout="$DEADLINE"
expect 'drained' "$KUBECTL" drain "$node" --ignore-daemonsets --delete-emptydir-data --force \
    --pod-selector=app=spread --timeout="$DEADLINE"
eventually 'spread +3/3' k get deployment spread
expect '^$' k get pods -l app=spread --field-selector="spec.nodeName=$node,status.phase=Running" -o name
expect 'uncordoned' k uncordon "$node"
expect 'deleted' k delete deployment spread
