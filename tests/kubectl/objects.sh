# Making, reading and removing objects; what the server says about itself.
# shellcheck shell=bash disable=SC2154

expect 'deployments +deploy +apps/v1 +true +Deployment' k api-resources
expect 'pods +po +v1 +true +Pod +create,delete,deletecollection,get,list,patch,update,watch' \
    k api-resources -o wide
expect 'horizontalpodautoscalers.autoscaling' k api-resources --api-group=autoscaling -o name
expect 'apps/v1.*autoscaling/v1.*autoscaling/v2.*batch/v1.*events.k8s.io/v1' \
    bash -c "$KUBECTL api-versions | sort | tr '\n' ' '"
expect 'control plane.* is running at' k cluster-info
expect 'Server Version: v1\.' k version
expect '^ok$' k get --raw /readyz
expect 'readyz check passed' k get --raw '/readyz?verbose'
expect 'apiserver_request_total' k get --raw /metrics
expect 'KIND: +Deployment.*spec.*<DeploymentSpec>' k explain deployment
expect 'restartPolicy.*Always' k explain pod.spec.restartPolicy
expect 'FIELD: containers' k explain pod.spec.containers
expect 'maxReplicas' k explain hpa.spec --api-version=autoscaling/v1
expect 'FIELDS:.*containers.*image' k explain pod.spec --recursive

# create, in all its forms
printf 'a=1\nb=2\n' >"$scratch/env"
printf 'content' >"$scratch/file"
expect 'configmap/settings created' k create configmap settings --from-literal=x=y \
    --from-file="$scratch/file"
expect 'configmap/env created' k create configmap env --from-env-file="$scratch/env"
expect '"file": ?"content"|file: content' k get configmap settings -o yaml
expect '^y$' k get configmap settings -o 'jsonpath={.data.x}'
expect '^settings y' k get configmap settings -o 'go-template={{.metadata.name}} {{.data.x}}'
expect 'NAME +X.*settings +y' k get configmap settings -o custom-columns=NAME:.metadata.name,X:.data.x
expect 'configmap/settings' k get configmap settings -o name
expect '"kind": "ConfigMap"' k get configmap settings -o json
expect 'secret/hidden created' k create secret generic hidden --from-literal=password=secret
expect '^secret$' bash -c "$KUBECTL -n $NAMESPACE get secret hidden -o 'jsonpath={.data.password}' | base64 -d"
expect 'hidden +Opaque +1' k get secret hidden
expect 'secret/pull created' k create secret docker-registry pull --docker-server=r \
    --docker-username=u --docker-password=p
expect 'serviceaccount/robot created' k create serviceaccount robot
expect 'quota/bounds created|resourcequota/bounds created' k create quota bounds --hard=pods=100
expect 'service/front created' k create service clusterip front --tcp=80:8080
expect 'front +ClusterIP' k get service front
expect 'ingress.networking.k8s.io/door created' k create ingress door --rule='a.example/*=front:80'
expect 'poddisruptionbudget.policy/keep created' k create poddisruptionbudget keep \
    --selector=app=none --min-available=1
expect 'priorityclass.scheduling.k8s.io/kubectl-test created' \
    k create -f - <<<"$(flow "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, value: 5,
        metadata: {name: kubectl-test, labels: {test: $NAMESPACE}}}")"
expect 'job.batch/once created' k create job once --image="$IMAGE" -- true
expect 'cronjob.batch/often created' k create cronjob often --image="$IMAGE" --schedule='*/5 * * * *' -- true
expect 'often +\*/5 \* \* \* \*' k get cronjob often
refuse '"settings" already exists' k create configmap settings
expect 'configmap/dry created \(server dry run\)' k create configmap dry --dry-run=server
expect 'name: dry' k create configmap dry --dry-run=client -o yaml
refuse 'NotFound' k get configmap dry

# get
expect 'configmap/env.*configmap/settings.*secret/hidden' k get configmaps,secrets -o name
expect 'NAME +DATA +AGE' k get configmaps
expect '^settings' k get configmaps --no-headers --field-selector=metadata.name=settings
expect 'LABELS' k get configmaps --show-labels
expect 'env.*settings' k get configmaps --sort-by=.metadata.name
expect 'settings' k get configmaps --chunk-size=1
expect 'service/front' k get all
refuse 'the server doesn.t have a resource type "nonsense"' k get nonsense
refuse 'NotFound.*"absent" not found' k get configmap absent
expect 'Name: +settings.*Data.*file' k describe configmap settings
expect 'Name: +front.*Type: +ClusterIP' k describe service front

# label and annotate
expect 'labeled' k label configmap settings tier=web
expect 'settings' k get configmaps -l tier=web -o name
expect 'settings' k get configmaps -l 'tier in (web,db),!absent' -o name
refuse "already has a value" k label configmap settings tier=db
expect 'labeled' k label configmap settings tier=db --overwrite
expect 'unlabeled' k label configmap settings tier-
expect 'annotated' k annotate configmap settings note='a long text'
expect 'a long text' k get configmap settings -o 'jsonpath={.metadata.annotations.note}'

# kustomize
mkdir -p "$scratch/base"
cat >"$scratch/base/kustomization.yaml" <<'KUSTOMIZATION'
namePrefix: custom-
configMapGenerator:
  - name: made
    literals: [k=v]
KUSTOMIZATION
expect 'name: custom-made-' k kustomize "$scratch/base"
expect 'configmap/custom-made-.* created' k apply -k "$scratch/base"

# config
expect 'current-context' k config view --minify
expect '.' k config current-context
cp "$KUBECONFIG" "$scratch/config"
expect 'Context .* modified' k --kubeconfig "$scratch/config" config set-context --current --namespace="$NAMESPACE"
expect 'settings' "$KUBECTL" --kubeconfig "$scratch/config" get configmap settings -o name

# delete
expect 'configmap "env" deleted' k delete configmap env
expect 'secret "hidden" deleted' k delete secret/hidden --wait
expect 'deleted' k delete job,cronjob --all
expect '' k delete configmap absent --ignore-not-found
