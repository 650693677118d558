# Changing objects: apply, diff, edit, replace, patch.
# shellcheck shell=bash disable=SC2154

manifest() {
    cat <<MANIFEST
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: $1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: $IMAGE
        command: [sleep, '86400']
        env: [{name: A, value: $2}]
MANIFEST
}

manifest 0 one >"$scratch/web.yaml"
refuse '\+kind: Deployment' k diff -f "$scratch/web.yaml"
expect 'deployment.apps/web created' k apply -f "$scratch/web.yaml"
expect '^$' k diff -f "$scratch/web.yaml"
expect 'deployment.apps/web unchanged' k apply -f "$scratch/web.yaml"
manifest 0 two >"$scratch/web.yaml"
refuse '\+ +value: two' k diff -f "$scratch/web.yaml"
expect 'deployment.apps/web configured' k apply -f "$scratch/web.yaml"
expect '^two$' k get deployment web -o 'jsonpath={.spec.template.spec.containers[0].env[0].value}'
expect 'replicas: 0' k apply view-last-applied deployment web
expect 'deployment.apps/web configured' k apply set-last-applied -f "$scratch/web.yaml"
refuse 'unknown field "spec.replica"' k apply -f - <<<"$(flow "{apiVersion: apps/v1, kind: Deployment,
    metadata: {name: web}, spec: {replica: 1}}")"

# on the server
expect 'serverside-applied' k apply --server-side -f "$scratch/web.yaml"
sed 's/value: two/value: three/' "$scratch/web.yaml" >"$scratch/other.yaml"
refuse 'conflict with "kubectl"' k apply --server-side --field-manager=other -f "$scratch/other.yaml"
expect 'serverside-applied' k apply --server-side --field-manager=other --force-conflicts -f "$scratch/other.yaml"
expect 'manager: other' k get deployment web -o yaml --show-managed-fields
expect '^three$' k get deployment web -o 'jsonpath={.spec.template.spec.containers[0].env[0].value}'
expect 'serverside-applied \(server dry run\)' k apply --server-side --dry-run=server --force-conflicts -f "$scratch/web.yaml"

# the three patches
expect 'patched' k patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"B","value":"b"}]}]}}}}'
expect '^B A$|^A B$' k get deployment web -o 'jsonpath={.spec.template.spec.containers[0].env[*].name}'
expect 'patched' k patch deployment web --type merge -p '{"metadata":{"labels":{"x":"y"}}}'
expect 'patched' k patch deployment web --type json -p '[{"op":"test","path":"/metadata/labels/x","value":"y"},{"op":"remove","path":"/metadata/labels/x"}]'
refuse 'the server rejected our request|test.*failed' k patch deployment web --type json -p '[{"op":"test","path":"/metadata/labels/app","value":"no"}]'
expect 'patched \(no change\)' k patch deployment web --type merge -p '{}'
expect 'patched' k patch deployment web --subresource=scale --type merge -p '{"spec":{"replicas":0}}'

# edit, with an editor that is a stream editor
export KUBE_EDITOR="sed -i s/value:\ b/value:\ edited/"
expect 'deployment.apps/web edited' k edit deployment web
expect 'edited' k get deployment web -o yaml
export KUBE_EDITOR=true
expect 'no changes made' k edit deployment web

# replace
k get deployment web -o yaml >"$scratch/replace.yaml"
sed -i 's/value: edited/value: replaced/' "$scratch/replace.yaml"
expect 'deployment.apps/web replaced' k replace -f "$scratch/replace.yaml"
refuse 'the object has been modified' k replace -f "$scratch/replace.yaml"
expect 'deployment.apps/web replaced' k replace --force -f "$scratch/web.yaml"
expect 'deployment.apps "web" deleted' k delete -f "$scratch/web.yaml"

# prune
cat >"$scratch/set.yaml" <<SET
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: one, labels: {set: a}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: two, labels: {set: a}}}
SET
expect 'configmap/two created' k apply -f "$scratch/set.yaml"
head -2 "$scratch/set.yaml" >"$scratch/less.yaml"
expect 'configmap/two pruned' k apply -f "$scratch/less.yaml" --prune -l set=a --prune-allowlist=core/v1/ConfigMap
