package fsat

const (
	sysNewfstatat = 79
	sysSyncfs     = 267
)
