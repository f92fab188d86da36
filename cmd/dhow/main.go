// Command dhow is the whole product: engine, cluster and command line.
package main

func main() {}
