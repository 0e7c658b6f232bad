package plugin

import "fmt"

// Least and ABI are the ends of the range of ABIs that a host with this package
// speaks.
const Least = 1

// Agree returns the ABI in which host and guest speak: the highest that both
// know. Word is what the guest's ExportABI returned: the highest ABI it speaks
// in the low 16 bits and the lowest in the high ones, where 0 means 1. A guest
// without the export is asked in ABI 1. The error says which side to change.
func Agree(word int32) (int, error) {
	lowest, highest := int(uint32(word)>>16), int(uint32(word)&0xFFFF) //nolint:gosec // the bits are what counts
	if lowest == 0 {
		lowest = 1
	}
	switch {
	case highest == 0 || lowest > highest:
		return 0, fmt.Errorf("%s of the guest returned %d, which names no range of ABIs: rebuild the guest with callboard plugin build", ExportABI, word)
	case lowest > ABI:
		return 0, fmt.Errorf("this guest speaks ABI %s, this host %d to %d: upgrade the host, or rebuild the guest with this host's own callboard plugin build", span(lowest, highest), Least, ABI)
	}
	return min(highest, ABI), nil
}

func span(lowest, highest int) string {
	if lowest == highest {
		return fmt.Sprint(lowest)
	}
	return fmt.Sprintf("%d to %d", lowest, highest)
}
