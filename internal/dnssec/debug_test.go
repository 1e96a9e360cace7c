//go:debug rsa1024min=0
package dnssec

// The keys of the replay files are of 512 bits, which Go refuses otherwise.
