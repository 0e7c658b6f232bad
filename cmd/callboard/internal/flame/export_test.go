package flame

// FunctionNames is functionNames, for the tests.
func FunctionNames(code []byte) map[uint32]string { return functionNames(code) }
