// Package descriptor knows Backstage's descriptor format: it parses YAML with
// line numbers, checks every rule of the format, and derives references and
// relations. It is pure: it opens no file and no connection, and holds nothing
// between calls. Whoever needs to fetch or store belongs next door.
package descriptor
