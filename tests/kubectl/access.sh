# Who may do what, and certificates.
# shellcheck shell=bash disable=SC2154

expect 'Username.*kubernetes-admin|Username +[a-z]' k auth whoami
expect '^yes' k auth can-i create pods
expect '\*\.\*' k auth can-i --list
expect 'role.rbac.authorization.k8s.io/reader created' k create role reader --verb=get,list --resource=pods
expect 'rolebinding.rbac.authorization.k8s.io/readers created' k create rolebinding readers --role=reader --serviceaccount="$NAMESPACE:default"
expect "clusterrole.rbac.authorization.k8s.io/$NAMESPACE created" k create clusterrole "$NAMESPACE" --verb=get --resource=nodes
expect 'labeled' k label clusterrole "$NAMESPACE" "test=$NAMESPACE"
expect "clusterrolebinding.rbac.authorization.k8s.io/$NAMESPACE created" k create clusterrolebinding "$NAMESPACE" --clusterrole="$NAMESPACE" --user=jane
expect 'labeled' k label clusterrolebinding "$NAMESPACE" "test=$NAMESPACE"
expect 'subjects updated' k set subject rolebinding readers --user=jane
expect 'reconciled' k auth reconcile -f - <<<"$(flow "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role,
    metadata: {name: other, namespace: $NAMESPACE}, rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}")"

# A service account may what roles say that are bound to it.
"$KUBECTL" config view --raw --flatten >"$scratch/robot"
robot() { KUBECONFIG=$scratch/robot k "$@"; }
token=$(k create token default --duration 15m)
expect 'User "robot" set' robot config set-credentials robot --token "$token"
expect 'Context .* modified' robot config set-context --current --user robot
expect "system:serviceaccount:$NAMESPACE:default" robot auth whoami
expect 'No resources found|NAME' robot get pods
refuse 'Forbidden.*cannot list resource "secrets"' robot get secrets
refuse 'Forbidden.*at the cluster scope' robot get pods --all-namespaces
expect 'yes' robot auth can-i list pods
refuse '^no' robot auth can-i delete pods
refuse 'cannot create resource "rolebindings"' robot create rolebinding mine --clusterrole=cluster-admin --serviceaccount="$NAMESPACE:default"
expect 'created' k create rolebinding viewers --clusterrole=view --serviceaccount="$NAMESPACE:default"
expect 'No resources found|NAME' robot get deployments
refuse 'may not specify a duration less than 10 minutes' k create token default --duration 1m
expect 'set' robot config set-credentials robot --token "${token%?????}AAAAA"
refuse 'must be logged in|Unauthorized' robot get pods

openssl req -new -newkey rsa:2048 -nodes -keyout "$scratch/key" -subj /CN=jane -out "$scratch/csr" 2>/dev/null
for name in approved denied; do
    expect 'created' k create -f - <<REQUEST
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $NAMESPACE-$name, labels: {test: $NAMESPACE}}
spec:
  request: $(base64 -w0 <"$scratch/csr")
  signerName: example.com/nobody
  usages: [client auth]
REQUEST
done
expect 'Pending' k get csr "$NAMESPACE-approved"
expect 'approved' k certificate approve "$NAMESPACE-approved"
expect 'Approved' k get csr "$NAMESPACE-approved"
expect 'denied' k certificate deny "$NAMESPACE-denied"
expect 'Denied' k get csr "$NAMESPACE-denied"

expect 'deleted' k delete csr -l "test=$NAMESPACE"
