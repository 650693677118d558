# Custom resources, from the definition to the last object.
# shellcheck shell=bash disable=SC2154

cat >"$scratch/crd.yaml" <<CRD
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.kubectl.example, labels: {test: $NAMESPACE}}
spec:
  group: kubectl.example
  scope: Namespaced
  names: {plural: gadgets, kind: Gadget, shortNames: [gd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What is wanted of a gadget.
            required: [size]
            properties:
              size: {type: integer, minimum: 0, maximum: 5}
              colour: {type: string, default: grey}
          status: {type: object, properties: {size: {type: integer}}}
CRD
expect 'created' k apply -f "$scratch/crd.yaml"
expect 'condition met' k wait --for=condition=Established crd/gadgets.kubectl.example --timeout="$DEADLINE"
expect '^$' k diff -f "$scratch/crd.yaml"
expect 'gadgets +gd +kubectl.example/v1 +true +Gadget' k api-resources --api-group=kubectl.example
expect 'What is wanted of a gadget' k explain gadget.spec
gadget() { printf -- '---\n{apiVersion: kubectl.example/v1, kind: Gadget, metadata: {name: %s}, spec: {%s}}' "$1" "$2"; }
expect 'gadget.kubectl.example/one created' k apply -f - <<<"$(gadget one 'size: 1')"
expect 'one +1' k get gadgets
expect 'grey' k get gd one -o 'jsonpath={.spec.colour}'
expect 'gadget.kubectl.example/one' k get all -o name
refuse 'should be less than or equal to 5' k apply -f - <<<"$(gadget one 'size: 9')"
refuse 'unknown field "spec.shape"' k apply -f - <<<"$(gadget one 'size: 1, shape: round')"
refuse 'spec.size: Required value' k create -f - <<<"$(gadget two '')"
expect 'configured' k apply -f - <<<"$(gadget one 'size: 2')"
expect 'serverside-applied' k apply --server-side -f - <<<"$(gadget one 'size: 3')"
expect 'scaled' k scale gadget one --replicas=4
expect 'patched' k patch gadget one --type merge -p '{"spec":{"colour":"blue"}}'
expect 'patched' k patch gadget one --subresource=status --type merge -p '{"status":{"size":4}}'
expect '^4 blue 4$' k get gadget one -o 'jsonpath={.spec.size} {.spec.colour} {.status.size}'
expect 'Name: +one.*Size: +4' k describe gadget one
expect 'labeled' k label gadget one a=b
export KUBE_EDITOR="sed -i s/blue/green/"
expect 'edited' k edit gadget one
expect 'deleted' k delete crd gadgets.kubectl.example --timeout="$DEADLINE"
refuse 'have a resource type|could not find the requested resource' k get gadgets
