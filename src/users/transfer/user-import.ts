import { createHash } from 'node:crypto';
import type { Db } from '../../db/database.ts';
import { recordEvent } from '../../events/record-event.ts';
import type { Actor } from '../../http/actor.ts';
import type { Clock } from '../../lib/clock.ts';
import { defineErrors } from '../../lib/errors.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import { importBatch } from './import-batch.ts';
import type { ImportRoles, RowOutcome } from './import-batch.ts';
import { importJobStore } from './import-job-store.ts';
import type { ImportCounts, ImportJob, PlacedFault } from './import-job-store.ts';
import { parseImportRow } from './import-row.ts';
import { readRecords } from './read-records.ts';
import type { ImportFormat, ImportRecord } from './read-records.ts';

/**
 * Brings in users of another system. The job's progress commits together with each batch, so an import that was
 * interrupted at any moment goes on where it ended when it is started again, and settles every record once.
 */

const BATCH = 500;
const FAULTS_PAGE = 1000;

const fail = defineErrors('import', {
  elsewhere: { status: 409, message: 'The same import is running in another place.' },
});

export interface ImportRequest {
  /** The file from its beginning, as often as it is asked for. */
  open: () => AsyncIterable<Uint8Array>;
  format: ImportFormat;
  /** Whether to add to users who exist; otherwise they are left alone. */
  update?: boolean | undefined;
  /** Whether all addresses are known to be their owners'. */
  emailVerified?: boolean | undefined;
  /** Called after every batch. */
  onProgress?: ((progress: ImportProgress) => void) | undefined;
}

export interface ImportProgress {
  records: number;
  bytes: number;
}

export interface ImportResult {
  /** Undefined after a rehearsal. */
  jobId: string | undefined;
  /** Records that an earlier, interrupted run had settled. */
  resumedAt: number;
  read: number;
  counts: ImportCounts;
  /** In the order of the source. */
  faults: () => AsyncIterable<PlacedFault>;
}

interface Batch {
  records: ImportRecord[];
  bytes: number;
}

export function createUserImport({
  db,
  now,
  hasher,
  rolesOn,
}: {
  db: Db;
  now: Clock;
  hasher: Pick<PasswordHasher, 'adopt'>;
  rolesOn: (db: Db, tenantId: string) => ImportRoles;
}) {
  /** Decides over records within a transaction; which of them are faulty needs none. */
  async function settle(
    trx: Db,
    actor: Actor,
    records: readonly ImportRecord[],
    { update = false, emailVerified }: ImportRequest,
  ): Promise<RowOutcome[]> {
    const read = records.map((record) => ('fault' in record ? record : parseImportRow(record.value, hasher)));
    const rows = read.flatMap((one) =>
      'row' in one ? [{ ...one.row, emailVerified: emailVerified || one.row.emailVerified }] : [],
    );
    const roles = rolesOn(trx, actor.tenantId);
    const settled = (await importBatch(trx, actor, rows, { update, roles, at: now() })).values();
    return read.map((one) => ('row' in one ? (settled.next().value ?? 'skipped') : { fault: one.fault }));
  }

  async function runBatch(actor: Actor, job: ImportJob, batch: Batch, request: ImportRequest): Promise<void> {
    const { counts } = await db.transaction(async (trx) => {
      const jobs = importJobStore(trx, actor.tenantId);
      if (!(await jobs.lock(job))) throw fail('elsewhere');
      const result = summary(await settle(trx, actor, batch.records, request), batch.records, job.position);
      await jobs.addFaults(job.id, result.faults);
      await jobs.advance(job.id, batch.records.length, result.counts);
      return result;
    });
    job.position += batch.records.length;
    add(job.counts, counts);
  }

  return {
    /**
     * @throws {AppError} `import.elsewhere` when another process imports the same
     * @throws the database's errors, and those of `open`; started again, the import goes on
     */
    async run(actor: Actor, request: ImportRequest): Promise<ImportResult> {
      const jobs = importJobStore(db, actor.tenantId);
      const job = await jobs.begin(await fingerprint(request));
      const resumedAt = job.position;
      for await (const batch of batchesOf(request, resumedAt)) {
        await runBatch(actor, job, batch, request);
        request.onProgress?.({ records: job.position, bytes: batch.bytes });
      }
      await db.transaction(async (trx) => {
        if (!(await importJobStore(trx, actor.tenantId).finish(job.id))) throw fail('elsewhere');
        await recordEvent(trx, actor, 'users.imported', {
          target: { type: 'import', id: job.id },
          data: { read: job.position, ...job.counts },
        });
      });
      return {
        jobId: job.id,
        resumedAt,
        read: job.position,
        counts: job.counts,
        async *faults() {
          for (let after = -1; ; ) {
            const page = await jobs.faults(job.id, after, FAULTS_PAGE);
            yield* page;
            if (page.length < FAULTS_PAGE) return;
            after = page.at(-1)?.position ?? after;
          }
        },
      };
    },

    /** Does everything and takes it back, batch by batch. Twice the same address in different batches is noticed, too. */
    async rehearse(actor: Actor, request: ImportRequest): Promise<ImportResult> {
      const counts = { created: 0, updated: 0, skipped: 0, failed: 0 };
      const faults: PlacedFault[] = [];
      const made = new Set<string>();
      let read = 0;
      for await (const batch of batchesOf(request, 0)) {
        const trx = await db.transaction();
        let outcomes: RowOutcome[];
        try {
          outcomes = await settle(trx, actor, batch.records, request);
        } finally {
          await trx.rollback();
        }
        const remembered = outcomes.map((outcome, index) => {
          const record = batch.records[index];
          if (outcome !== 'created' || !record || 'fault' in record) return outcome;
          const parsed = parseImportRow(record.value, hasher);
          const email = 'row' in parsed ? parsed.row.email.toLowerCase() : '';
          if (made.has(email)) return 'skipped';
          made.add(email);
          return outcome;
        });
        const result = summary(remembered, batch.records, read);
        add(counts, result.counts);
        faults.push(...result.faults);
        read += batch.records.length;
        request.onProgress?.({ records: read, bytes: batch.bytes });
      }
      return {
        jobId: undefined,
        resumedAt: 0,
        read,
        counts,
        async *faults() {
          yield* faults;
        },
      };
    },
  };
}

/** The same content imported in the same way is the same import. */
async function fingerprint({ open, format, update = false, emailVerified = false }: ImportRequest) {
  const digest = createHash('sha256').update(JSON.stringify({ format, update, emailVerified }));
  for await (const chunk of open()) digest.update(chunk);
  return digest.digest();
}

async function* batchesOf({ open, format }: ImportRequest, skipped: number): AsyncGenerator<Batch> {
  let bytes = 0;
  async function* counted() {
    for await (const chunk of open()) {
      bytes += chunk.byteLength;
      yield chunk;
    }
  }
  let records: ImportRecord[] = [];
  let left = skipped;
  for await (const record of readRecords(counted(), format)) {
    if (left > 0) {
      left -= 1;
      continue;
    }
    records.push(record);
    if (records.length < BATCH) continue;
    yield { records, bytes };
    records = [];
  }
  if (records.length > 0) yield { records, bytes };
}

function summary(outcomes: readonly RowOutcome[], records: readonly ImportRecord[], first: number) {
  const counts: ImportCounts = { created: 0, updated: 0, skipped: 0, failed: 0 };
  const faults: PlacedFault[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    if (typeof outcome === 'string') counts[outcome] += 1;
    else {
      counts.failed += 1;
      faults.push({ ...outcome.fault, position: first + index, line: records[index]?.line ?? 0 });
    }
  }
  return { counts, faults };
}

function add(counts: ImportCounts, more: ImportCounts): void {
  for (const name of ['created', 'updated', 'skipped', 'failed'] as const) counts[name] += more[name];
}
