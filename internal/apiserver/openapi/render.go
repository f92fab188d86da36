package openapi

import (
	"slices"
	"strings"
)

// mediaTypes of objects, in v2 for whole operations and in v3 for each content.
var ( // never changed
	objectTypes = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}
	watchTypes  = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"}
	patchTypes  = []string{"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"}
)

func (o *operation) allParams() (out []param, inPath int) {
	if o.named {
		out = append(out, param{"name", "string"})
	}
	if o.namespaced {
		out = append(out, param{"namespace", "string"})
	}
	inPath = len(out)
	if o.action != "connect" {
		out = append(out, param{"pretty", "string"})
	}
	return append(out, o.params...), inPath
}

// accepts are the media types of a patch.
func (o *operation) accepts() []string {
	if o.custom {
		return slices.DeleteFunc(slices.Clone(patchTypes), func(t string) bool { return strings.Contains(t, "strategic") })
	}
	return patchTypes
}

func (o *operation) answers() []string {
	if o.custom {
		return []string{"application/json", "application/yaml"}
	}
	switch {
	case o.action == "connect":
		return []string{"*/*"}
	case o.action == "list":
		return watchTypes
	}
	return objectTypes
}

func (o *operation) common() object {
	return object{
		"description": o.text, "operationId": o.id, "tags": []string{o.tag},
		"x-kubernetes-action": o.action, "x-kubernetes-group-version-kind": gvkObject(o.gvk),
	}
}

func (o *operation) codes() []string {
	switch o.method {
	case "post":
		return []string{"200", "201", "202"}
	case "put", "patch":
		return []string{"200", "201"}
	case "delete":
		return []string{"200", "202"}
	}
	return []string{"200"}
}

func (b *builder) refOrString(m model) object {
	if m == (model{}) {
		return object{"type": "string"}
	}
	return b.refTo(m)
}

func (b *builder) pathV2(ops []operation) object {
	out := object{}
	for i := range ops {
		o := &ops[i]
		op := o.common()
		op["schemes"], op["produces"], op["consumes"] = []string{"https"}, o.answers(), []string{"*/*"}
		if o.method == "patch" {
			op["consumes"] = o.accepts()
		}
		params, inPath := o.allParams()
		var list []any
		for i, p := range params {
			q := object{"name": p.name, "type": p.typ, "in": "query", "uniqueItems": true}
			if i < inPath {
				q["in"], q["required"] = "path", true
			}
			list = append(list, q)
		}
		if o.body != (model{}) {
			list = append(list, object{"name": "body", "in": "body", "required": o.method != "delete", "schema": b.refTo(o.body)})
		}
		if list != nil {
			op["parameters"] = list
		}
		responses := object{"401": object{"description": "Unauthorized"}}
		for _, c := range o.codes() {
			responses[c] = object{"description": status(c), "schema": b.refOrString(o.answer)}
		}
		op["responses"] = responses
		out[o.method] = op
	}
	return out
}

func (b *builder) pathV3(ops []operation) object {
	out := object{}
	for i := range ops {
		o := &ops[i]
		op := o.common()
		params, inPath := o.allParams()
		var list []any
		for i, p := range params {
			q := object{"name": p.name, "in": "query", "schema": object{"type": p.typ, "uniqueItems": true}}
			if i < inPath {
				q["in"], q["required"] = "path", true
			}
			list = append(list, q)
		}
		if list != nil {
			op["parameters"] = list
		}
		content := func(types []string, schema object) object {
			c := object{}
			for _, t := range types {
				c[t] = object{"schema": schema}
			}
			return c
		}
		if o.body != (model{}) {
			types := []string{"*/*"}
			if o.method == "patch" {
				types = o.accepts()
			}
			body := object{"content": content(types, b.refTo(o.body))}
			if o.method != "delete" {
				body["required"] = true
			}
			op["requestBody"] = body
		}
		responses := object{"401": object{"description": "Unauthorized"}}
		for _, c := range o.codes() {
			responses[c] = object{"description": status(c), "content": content(o.answers(), b.refOrString(o.answer))}
		}
		op["responses"] = responses
		out[o.method] = op
	}
	return out
}

func status(code string) string {
	switch code {
	case "201":
		return "Created"
	case "202":
		return "Accepted"
	}
	return "OK"
}
