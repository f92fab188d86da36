package expression

import apiservercel "k8s.io/apiserver/pkg/cel"

// fields makes the required and the optional fields of a type.
type fields map[string]*apiservercel.DeclField

func (f fields) add(t *apiservercel.DeclType, required bool, names ...string) fields {
	for _, n := range names {
		f[n] = apiservercel.NewDeclField(n, t, required, nil, nil)
	}
	return f
}

func listOf(t *apiservercel.DeclType) *apiservercel.DeclType {
	return apiservercel.NewListType(t, -1)
}

func mapOf(t *apiservercel.DeclType) *apiservercel.DeclType {
	return apiservercel.NewMapType(apiservercel.StringType, t, -1)
}

// requestType is AdmissionRequest without uid, object and oldObject.
func requestType() *apiservercel.DeclType {
	text := apiservercel.StringType
	kind := apiservercel.NewObjectType("kubernetes.GroupVersionKind", fields{}.add(text, true, "group", "version", "kind"))
	resource := apiservercel.NewObjectType("kubernetes.GroupVersionResource", fields{}.add(text, true, "group", "version", "resource"))
	user := apiservercel.NewObjectType("kubernetes.UserInfo", fields{}.add(text, false, "username", "uid").
		add(listOf(text), false, "groups").add(mapOf(listOf(text)), false, "extra"))
	return apiservercel.NewObjectType("kubernetes.AdmissionRequest", fields{}.
		add(kind, true, "kind", "requestKind").add(resource, true, "resource", "requestResource").
		add(text, false, "subResource", "requestSubResource", "namespace").add(text, true, "name", "operation").
		add(user, true, "userInfo").add(apiservercel.BoolType, false, "dryRun").add(apiservercel.DynType, false, "options"))
}

// namespaceType is Namespace without managedFields, ownerReferences and the like.
func namespaceType() *apiservercel.DeclType {
	text, texts, stamp := apiservercel.StringType, listOf(apiservercel.StringType), apiservercel.TimestampType
	condition := apiservercel.NewObjectType("kubernetes.NamespaceCondition", fields{}.
		add(text, true, "status", "type", "message", "reason").add(stamp, true, "lastTransitionTime"))
	spec := apiservercel.NewObjectType("kubernetes.NamespaceSpec", fields{}.add(texts, true, "finalizers"))
	status := apiservercel.NewObjectType("kubernetes.NamespaceStatus", fields{}.
		add(listOf(condition), true, "conditions").add(text, true, "phase"))
	metadata := apiservercel.NewObjectType("kubernetes.NamespaceMetadata", fields{}.
		add(text, true, "name", "generateName", "namespace", "UID", "resourceVersion").add(mapOf(text), true, "labels", "annotations").
		add(stamp, true, "creationTimestamp", "deletionTimestamp").
		add(apiservercel.IntType, true, "deletionGracePeriodSeconds", "generation").add(texts, true, "finalizers"))
	return apiservercel.NewObjectType("kubernetes.Namespace", fields{}.
		add(metadata, true, "metadata").add(spec, true, "spec").add(status, true, "status"))
}
