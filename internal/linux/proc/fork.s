// This file is empty: it lets fork.go declare functions that live in the runtime.
