// Package catalog keeps each tenant's entities: it reads Backstage descriptors
// from locations, keeps the last good version of each, and answers reads from
// memory or the tenant's database. It does not speak HTTP and knows no plugin.
package catalog
