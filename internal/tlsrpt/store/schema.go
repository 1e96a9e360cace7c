package store

import (
	"context"
	"database/sql"
	"fmt"
)

// migrations bring the tables from one version to the next. One that was released is never changed: what is to be
// otherwise is a new one.
var migrations = []string{
	`CREATE TABLE report (
		id TEXT PRIMARY KEY,
		same TEXT NOT NULL,
		organization TEXT NOT NULL,
		report_id TEXT NOT NULL,
		began BIGINT NOT NULL,
		ended BIGINT NOT NULL,
		received BIGINT NOT NULL,
		source TEXT NOT NULL,
		proof TEXT NOT NULL
	);
	CREATE INDEX report_same ON report (same);
	CREATE INDEX report_received ON report (received);
	CREATE TABLE outcome (
		report TEXT NOT NULL REFERENCES report (id) ON DELETE CASCADE,
		number INTEGER NOT NULL,
		subject TEXT NOT NULL,
		policy TEXT NOT NULL,
		successful BIGINT NOT NULL,
		failed BIGINT NOT NULL,
		PRIMARY KEY (report, number)
	);
	CREATE INDEX outcome_subject ON outcome (subject);
	CREATE TABLE failure (
		report TEXT NOT NULL,
		number INTEGER NOT NULL,
		part INTEGER NOT NULL,
		result TEXT NOT NULL,
		host TEXT NOT NULL,
		sessions BIGINT NOT NULL,
		reason TEXT NOT NULL,
		information TEXT NOT NULL,
		sending_ip TEXT NOT NULL,
		receiving_ip TEXT NOT NULL,
		PRIMARY KEY (report, number, part),
		FOREIGN KEY (report, number) REFERENCES outcome (report, number) ON DELETE CASCADE
	)`,
	`CREATE INDEX failure_host ON failure (host)`,
}

// migrate makes the tables, or brings them up to this version: each step in a transaction of its own.
func (s *Store) migrate(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)`); err != nil {
		return err
	}
	var version int
	if err := s.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("its tables have version %d, and this program knows %d: use a program as new as the one that wrote them", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		if err := s.step(ctx, version); err != nil {
			return fmt.Errorf("bringing its tables from version %d to %d: %w", version, version+1, err)
		}
	}
	return nil
}

func (s *Store) step(ctx context.Context, version int) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		// Two programs that begin at once: the second fails here, and finds the tables made when it begins anew.
		if _, err := tx.ExecContext(ctx, s.bind(`INSERT INTO schema_version (version) VALUES (?)`), version+1); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, migrations[version])
		return err
	})
}

func (s *Store) inTransaction(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}
