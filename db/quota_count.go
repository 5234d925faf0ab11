package db

import "context"

// CountQuota raises a project's use of a resource by n without testing the limit: for objects
// that replace others, which are counted until they are gone. The project's row must be there
// already; without one it will be counted when it is made.
func (tx *Tx) CountQuota(ctx context.Context, projectID string, r QuotaResource, n int) error {
	column := "in_use_" + string(r)
	return tx.db.WithContext(ctx).Exec(
		"UPDATE quotas SET "+column+" = "+column+" + ? WHERE project_id = ? AND "+column+" IS NOT NULL", n, projectID).Error
}
