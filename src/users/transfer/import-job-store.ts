import type { Db } from '../../db/database.ts';
import { newId } from '../../lib/ids.ts';
import type { ImportFault } from './import-row.ts';

export interface ImportCounts {
  created: number;
  updated: number;
  skipped: number;
  failed: number;
}

export interface ImportJob {
  id: string;
  /** Records that are settled. */
  position: number;
  counts: ImportCounts;
}

export interface PlacedFault extends ImportFault {
  position: number;
  line: number;
}

/** Since an import went on: one that stopped half-way can be gone on with for as long. */
const KEPT = "now() + interval '30 days'";

/** The queries of `import_jobs` and `import_faults`, bound to a tenant. */
export function importJobStore(db: Db, tenantId: string) {
  return {
    /** The job that is under way with this source, or a new one. */
    async begin(sourceHash: Buffer): Promise<ImportJob> {
      const key = { tenant_id: tenantId, source_hash: sourceHash, status: 'running' };
      // No target: the index is a partial one.
      await db('import_jobs')
        .insert({ id: newId(), ...key })
        .onConflict(db.raw("(tenant_id, source_hash) WHERE status = 'running'"))
        .ignore();
      const row = await db('import_jobs').where(key).first();
      return {
        id: row.id,
        position: Number(row.position),
        counts: {
          created: Number(row.created_count),
          updated: Number(row.updated_count),
          skipped: Number(row.skipped_count),
          failed: Number(row.failed_count),
        },
      };
    },

    /**
     * Takes the next records for the transaction it is in: nobody else can settle them.
     * @returns false when somebody else has settled them already
     */
    async lock({ id, position }: ImportJob): Promise<boolean> {
      const row = await db('import_jobs')
        .where({ id, tenant_id: tenantId, position, status: 'running' })
        .forUpdate()
        .first('id');
      return row !== undefined;
    },

    async advance(id: string, amount: number, counts: ImportCounts): Promise<void> {
      await db('import_jobs')
        .where({ id, tenant_id: tenantId })
        .update({
          position: db.raw('position + ?', [amount]),
          created_count: db.raw('created_count + ?', [counts.created]),
          updated_count: db.raw('updated_count + ?', [counts.updated]),
          skipped_count: db.raw('skipped_count + ?', [counts.skipped]),
          failed_count: db.raw('failed_count + ?', [counts.failed]),
          expires_at: db.raw(KEPT),
          updated_at: db.fn.now(),
        });
    },

    async addFaults(id: string, faults: readonly PlacedFault[]): Promise<void> {
      if (faults.length === 0) return;
      await db('import_faults').insert(
        faults.map(({ position, line, code, message }) => ({
          job_id: id,
          tenant_id: tenantId,
          position,
          line,
          code,
          message,
        })),
      );
    },

    /** @returns whether this call ended it */
    async finish(id: string): Promise<boolean> {
      const count = await db('import_jobs')
        .where({ id, tenant_id: tenantId, status: 'running' })
        .update({ status: 'done', expires_at: db.raw(KEPT), updated_at: db.fn.now() });
      return count === 1;
    },

    /** In the order of the source; `after` is the position of the last one already seen. */
    async faults(id: string, after: number, limit: number): Promise<PlacedFault[]> {
      const rows = await db('import_faults')
        .where({ job_id: id, tenant_id: tenantId })
        .where('position', '>', after)
        .orderBy('position')
        .limit(limit);
      return rows.map(({ position, line, code, message }) => ({
        position: Number(position),
        line: Number(line),
        code,
        message,
      }));
    },
  };
}
