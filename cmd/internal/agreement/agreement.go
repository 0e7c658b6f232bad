// Package agreement proves that what plugin authors test against is what the
// portal does: the services of package sdktest answer as the host's own do. It
// holds tests alone; it stands here because nothing below cmd may know both.
package agreement
