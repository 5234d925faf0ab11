package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ottavino/ottavino/db"
)

func dbCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "db", Short: "Look after the database's schema"}
	cmd.AddCommand(
		dbVerb("sync", "Create the tables, take over Octavia's, or bring ours up to date", func(cmd *cobra.Command, s *db.Store) error {
			return s.Migrate(cmd.Context())
		}),
		dbVerb("current", "Print the schema's version and the newest there is", func(cmd *cobra.Command, s *db.Store) error {
			applied, newest, err := s.SchemaVersion(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d (newest %d)\n", applied, newest)
			return err
		}),
		dbVerb("check", "Fail unless the schema is up to date", func(cmd *cobra.Command, s *db.Store) error {
			applied, newest, err := s.SchemaVersion(cmd.Context())
			if err != nil {
				return err
			}
			if applied != newest {
				return errors.New("the schema is not up to date: run ottavino db sync")
			}
			return nil
		}),
	)
	return cmd
}

func dbVerb(use, short string, do func(*cobra.Command, *db.Store) error) *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}
			log, err := openLog(cfg.Default)
			if err != nil {
				return err
			}
			store, err := db.Open(cmd.Context(), databaseConfig(cfg.Database), log)
			if err != nil {
				return err
			}
			return errors.Join(do(cmd, store), store.Close())
		},
	}
	configFlags(cmd, &s)
	return cmd
}
