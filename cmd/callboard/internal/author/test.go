package author

import (
	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/language"
	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// newTestCommand returns "plugin test".
func newTestCommand(s Settings) *cobra.Command {
	return &cobra.Command{
		Use:   "test [DIR] [-- GO TEST FLAGS]",
		Short: "Run a plugin's tests on the SDK's in-memory portal",
		Long: "Runs go test in DIR (the current folder if none) with the SDK that this callboard carries. What stands\n" +
			"after -- is passed to go test.",
		Example: "  callboard plugin test\n  callboard plugin test ./deploy-board -- -run TestBoard -v",
		Args: func(cmd *cobra.Command, args []string) error {
			own := args
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				own = args[:at]
			}
			return cobra.MaximumNArgs(1)(cmd, own)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			own, flags := args, []string(nil)
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				own, flags = args[:at], args[at:]
			}
			if name := language.Of(s.folder(own)); name != "" {
				return host.Errorf(host.CodeInvalid, "a plugin in %s has no Go tests to run", name).
					WithHint("Call it with callboard plugin run, or write Go tests that open it with sdktest.NewGuest.")
			}
			w, err := s.open(cmd, s.folder(own), manifestv1.RuntimeWASM)
			if err != nil {
				return err
			}
			err = w.Test(cmd.Context(), flags, cmd.OutOrStdout())
			if closeErr := w.Close(); err == nil {
				err = closeErr
			}
			return err
		},
	}
}
