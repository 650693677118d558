# Deployments from the first pod to the last.
# shellcheck shell=bash disable=SC2154

expect 'deployment.apps/app created' k create deployment app --image="$IMAGE" --replicas=2 -- sleep 86400
expect 'successfully rolled out' k rollout status deployment/app --timeout="$DEADLINE"
expect 'app +2/2 +2 +2' k get deployment app
expect 'condition met' k wait --for=condition=Available deployment/app --timeout="$DEADLINE"
expect 'scaled' k scale deployment app --replicas=3
eventually 'app +3/3' k get deployment app
refuse 'Expected replicas to be 9, was 3' k scale deployment app --replicas=1 --current-replicas=9
expect 'env updated' k set env deployment/app COLOUR=red
expect 'COLOUR=red' k set env deployment/app --list
expect 'image updated' k set image deployment/app busybox="$IMAGE-other" --dry-run=server
expect 'resource requirements updated' k set resources deployment app --limits=cpu=200m,memory=64Mi
expect 'serviceaccount updated' k set serviceaccount deployment app default
expect 'successfully rolled out' k rollout status deployment/app --timeout="$DEADLINE"
expect 'REVISION.*1.*2' k rollout history deployment/app
expect 'COLOUR:.*red' k rollout history deployment/app --revision=2
expect 'paused' k rollout pause deployment/app
expect 'resumed' k rollout resume deployment/app
expect 'rolled back' k rollout undo deployment/app --to-revision=1
expect 'successfully rolled out' k rollout status deployment/app --timeout="$DEADLINE"
expect '^$' k get deployment app -o 'jsonpath={.spec.template.spec.containers[0].env}'
expect 'restarted' k rollout restart deployment/app
expect 'successfully rolled out' k rollout status deployment/app --timeout="$DEADLINE"
expect 'service/app exposed' k expose deployment app --port=80 --target-port=8080
expect '80/TCP' k get service app
expect 'selector updated' k set selector service app app=other
expect 'autoscaled' k autoscale deployment app --min=1 --max=5 --cpu-percent=80
expect 'Deployment/app.*1 +5' k get hpa app
expect 'autoscaling/v1' k get horizontalpodautoscalers.v1.autoscaling app -o yaml
expect 'Name: +app.*Replicas: +3 desired' k describe deployment app
eventually 'ScalingReplicaSet' k events --for deployment/app
eventually 'ScalingReplicaSet' k get events.v1.events.k8s.io
eventually 'ScalingReplicaSet' k get events --field-selector=reason=ScalingReplicaSet
expect 'deleted' k delete deployment app --cascade=foreground --timeout="$DEADLINE"
eventually '^No resources found' k get pods
