package shim

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// What the process may do with its program and below its own folder. Nothing
// there may be executed.
const (
	ofProgram landlock.AccessFSSet = ll.AccessFSExecute | ll.AccessFSReadFile
	ofDir     landlock.AccessFSSet = ll.AccessFSReadFile | ll.AccessFSReadDir | ll.AccessFSWriteFile | ll.AccessFSTruncate |
		ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSMakeSock | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir
)

// The versions of Landlock from which it does what we want of it.
const (
	confinesFiles   = 1 // Linux 5.13
	confinesCutting = 3 // Linux 6.2
	confinesSignals = 6 // Linux 6.12
)

// Lacking names the layers that this system does not have, with the
// consequence: what the reports of processes will say.
func Lacking() []string {
	_, lacking := landlockHere()
	return lacking
}

// landlockHere returns whether this system has Landlock, and what it lacks of it.
func landlockHere() (here bool, lacking []string) {
	version, err := ll.LandlockGetABIVersion()
	if err != nil {
		version = 0
	}
	return version >= confinesFiles, lackingOf(version)
}

// lackingOf says what a version of Landlock does not do.
func lackingOf(version int) (lacking []string) {
	if version < confinesFiles {
		return []string{"landlock: this system does not have it (Linux 5.13) or the host may not use it, so the plugin can read and write what the host's user can"}
	}
	if version < confinesCutting {
		lacking = append(lacking, "landlock: this kernel does not keep the plugin from cutting files of the host's user (Linux 6.2)")
	}
	if version < confinesSignals {
		lacking = append(lacking, "landlock: this kernel does not confine abstract sockets (Linux 6.12)")
	}
	return lacking
}

// confineFiles puts on Landlock, as much as the kernel has of it, and names
// what is lacking.
func confineFiles(p Policy) (lacking []string, err error) {
	here, lacking := landlockHere()
	if !here {
		return lacking, nil
	}
	err = landlock.V7.BestEffort().Restrict(landlock.PathAccess(ofProgram, p.Program), landlock.PathAccess(ofDir, p.Dir))
	if err != nil {
		return nil, fmt.Errorf("confining the plugin to its folder (Landlock): %w", err)
	}
	return lacking, nil
}
