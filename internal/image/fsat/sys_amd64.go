package fsat

const (
	sysNewfstatat = 262
	sysSyncfs     = 306
)
