package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/ottavino/ottavino/api/policy"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show and try the rules of who may do what",
		Args:  cobra.NoArgs,
		Long: "Show the rules in force, the built-in ones and those of [oslo_policy] policy_file and policy_dirs,\n" +
			"as a policy file that says where each comes from. No database and no Keystone is asked.",
	}
	rules := rulesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		e, err := rules()
		if err != nil {
			return err
		}
		return printRules(cmd.OutOrStdout(), e.Rules())
	}
	cmd.AddCommand(policyCheckCommand(), policyMayCommand(), policyListCommand())
	return cmd
}

// rulesFlag adds the flags that say which rules; the function loads them.
func rulesFlag(cmd *cobra.Command) func() (*policy.Enforcer, error) {
	var s settings
	configFlags(cmd, &s)
	return func() (*policy.Enforcer, error) {
		cfg, err := s.load()
		if err != nil {
			return nil, err
		}
		return policy.Load(policyOptions(cfg))
	}
}

// printRules writes rules as a policy file.
func printRules(out io.Writer, rules []policy.Rule) error {
	top := &yaml.Node{Kind: yaml.MappingNode}
	for _, r := range rules {
		name := &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: r.Name, HeadComment: "default"}
		if r.File != "" {
			name.HeadComment = r.File
		}
		value := &yaml.Node{}
		if err := value.Encode(r.Value); err != nil {
			return err
		}
		if value.Kind == yaml.ScalarNode && value.Tag == "!!str" {
			value.Style = yaml.DoubleQuotedStyle
		}
		top.Content = append(top.Content, name, value)
	}
	enc := yaml.NewEncoder(out)
	if err := enc.Encode(top); err != nil {
		return err
	}
	return enc.Close()
}

func policyCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Fail unless the policy files can be used; say what in them looks wrong",
		Args:  cobra.NoArgs,
	}
	rules := rulesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		e, err := rules()
		if err != nil {
			return err
		}
		for _, w := range e.Warnings() {
			fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
		}
		own := 0
		for _, r := range e.Rules() {
			if r.File != "" {
				own++
			}
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "ok: %d rules, %d of them from files\n", len(e.Rules()), own)
		return err
	}
	return cmd
}

// caller are the flags that say who asks.
type caller struct {
	roles           []string
	project, domain string
	system          bool
}

func callerFlags(cmd *cobra.Command) *caller {
	var c caller
	cmd.Flags().StringSliceVar(&c.roles, "roles", nil, "`roles` of the caller, with those they imply: admin,member,reader")
	cmd.Flags().StringVar(&c.project, "project", "own", "`id` of the project of the caller's token")
	cmd.Flags().StringVar(&c.domain, "domain", "", "`id` of the domain of the token, which then is not a project's")
	cmd.Flags().BoolVar(&c.system, "system", false, "the token is of the whole system (system_scope:all), not a project's")
	cmd.MarkFlagsMutuallyExclusive("project", "domain", "system")
	return &c
}

// credentials are what rules see of the caller.
func (c *caller) credentials(e *policy.Enforcer) policy.Credentials {
	out := policy.Credentials{ProjectID: c.project, Roles: c.roles}
	switch {
	case c.system:
		out.ProjectID, out.SystemScope = "", "all"
	case c.domain != "":
		out.ProjectID, out.DomainID = "", c.domain
	}
	out.IsAdmin = e.IsAdmin(out)
	return out
}

func policyMayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "may RULE",
		Short: "Say whether a caller may do something, and which part of the rules decided",
		Long: "Say whether a caller may do something, and which part of the rules decided.\n" +
			"The exit code is 0 for yes, 1 for no, and 2 when there is no answer.",
		Example: "  ottavino policy may --roles member,reader --project P --target-project Q loadbalancer:post",
		Args:    cobra.ExactArgs(1),
	}
	who := callerFlags(cmd)
	var target string
	cmd.Flags().StringVar(&target, "target-project", "", "`id` of the project of the object (default: the caller's)")
	rules := rulesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := rules()
		if err != nil {
			return exitError{2, err}
		}
		rule, err := ruleNamed(e, args[0])
		if err != nil {
			return exitError{2, err}
		}
		creds := who.credentials(e)
		if !cmd.Flags().Changed("target-project") {
			target = creds.ProjectID
		}
		step := e.Explain(rule, creds, policy.Target{"project_id": target})
		if err := printStep(cmd.OutOrStdout(), step, ""); err != nil {
			return exitError{2, err}
		}
		if !step.Passes {
			return exitError{1, nil}
		}
		return nil
	}
	return cmd
}

// ruleNamed is the rule that an operator means: its name, or that of a call without prefix.
func ruleNamed(e *policy.Enforcer, name string) (string, error) {
	var near []string
	for _, r := range e.Rules() {
		if r.Name == name || r.Name == policy.CallPrefix+name {
			return r.Name, nil
		}
		if strings.Contains(r.Name, strings.TrimPrefix(name, policy.CallPrefix)) {
			near = append(near, r.Name)
		}
	}
	if len(near) > 0 {
		return "", fmt.Errorf("there is no rule %q; there are %s", name, strings.Join(near, ", "))
	}
	return "", fmt.Errorf("there is no rule %q; ottavino policy shows all", name)
}

func printStep(out io.Writer, s policy.Step, indent string) error {
	line := indent + yesNo(s.Passes) + "  " + s.Check
	if s.Why != "" {
		line += "  (" + s.Why + ")"
	}
	if _, err := fmt.Fprintln(out, line); err != nil {
		return err
	}
	for _, part := range s.Parts {
		if err := printStep(out, part, indent+"  "); err != nil {
			return err
		}
	}
	return nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func policyListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the calls that a caller may do, and with whose objects",
		Example: "  ottavino policy list --roles reader",
		Args:    cobra.NoArgs,
	}
	who := callerFlags(cmd)
	rules := rulesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		e, err := rules()
		if err != nil {
			return err
		}
		creds := who.credentials(e)
		var errs []error
		for _, call := range e.Calls() {
			own := e.Authorize(call, creds, policy.Target{"project_id": creds.ProjectID})
			others := e.Authorize(call, creds, policy.Target{"project_id": "another than " + creds.ProjectID})
			if whose := map[[2]bool]string{
				{true, true}: "any project", {true, false}: "own project", {false, true}: "other projects",
			}[[2]bool{own, others}]; whose != "" {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%-15s %s\n", whose, call)
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	return cmd
}

// exitError ends the process with a code; err may be nil, when all has been said.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return "no"
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }
