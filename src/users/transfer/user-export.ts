import { hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, truncate } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { tryTransactionLock } from '../../db/advisory-lock.ts';
import type { Db } from '../../db/database.ts';
import { recordEvent } from '../../events/record-event.ts';
import type { Actor } from '../../http/actor.ts';
import { defineErrors } from '../../lib/errors.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import { createExportPages, exportColumns } from './export-pages.ts';
import type { ExportForm, ExportRoles } from './export-pages.ts';
import type { ImportFormat } from './read-records.ts';
import { findWrittenPart } from './written-part.ts';
import type { WrittenPart } from './written-part.ts';

/**
 * Writes all users to a file. Until it is whole it lies beside that under a name of its own, which says what it is half
 * of: the same tenant, format and options find it again and go on with it, others do not.
 */

// The database lets go of what a killed process had locked when the statement it was at has ended.
const LOCK_ATTEMPTS = 30;
const LOCK_PAUSE_MS = 100;
const NOTHING: WrittenPart = { users: 0, bytes: 0, lastId: undefined };

const fail = defineErrors('user_export', {
  elsewhere: { status: 409, message: 'The same export is running in another place.' },
  nothing_to_resume: {
    status: 409,
    message:
      'There is no unfinished export to this file, of this tenant, in this format and with these options. Without --resume it begins anew.',
  },
  unusable: { status: 500, message: 'The file cannot be written.' },
  interrupted: {
    status: 500,
    message:
      'The export was cut off. What is written is kept: the same command with --resume goes on with it.',
  },
});

export interface ExportRequest {
  /** To be replaced, if it exists, when the export is complete. */
  file: string;
  format: ImportFormat;
  withPasswordHashes?: boolean | undefined;
  /** Go on with an export that was cut off; otherwise it begins anew. */
  resume?: boolean | undefined;
  /** Called after every page; users of an earlier run count. */
  onProgress?: ((users: number) => void) | undefined;
}

export interface ExportResult {
  users: number;
  /** Users whom an earlier, interrupted run had written. */
  resumedAt: number;
}

export function createUserExport({
  db,
  hasher,
  rolesOn,
}: {
  db: Db;
  hasher: Pick<PasswordHasher, 'release'>;
  rolesOn: ExportRoles;
}) {
  const exportPages = createExportPages({ hasher, rolesOn });

  /** @param trx the transaction that holds the lock: whoever has lost it reads no more */
  async function write(
    trx: Db,
    actor: Actor,
    partial: string,
    { users: resumedAt, lastId }: WrittenPart,
    request: ExportRequest,
  ): Promise<number> {
    const form = formOf(request);
    const handle = request.resume ? await open(partial, 'a') : await create(partial);
    try {
      await db.transaction((own) =>
        recordEvent(own, actor, 'users.exported', {
          data: {
            format: form.format,
            with_password_hashes: form.withPasswordHashes,
            ...(resumedAt > 0 ? { resumed_at: resumedAt } : {}),
          },
        }),
      );
      let users = resumedAt;
      for await (const page of exportPages(trx, actor.tenantId, form, lastId)) {
        await handle.appendFile(page.text);
        users += page.users;
        request.onProgress?.(users);
      }
      await handle.sync();
      await rename(partial, request.file);
      return users;
    } catch (cause) {
      throw fail('interrupted', { cause });
    } finally {
      await handle.close();
    }
  }

  return {
    /** How many there are to export: what comes of it can be held against that. */
    async count({ tenantId }: Pick<Actor, 'tenantId'>): Promise<number> {
      const row = await db('users')
        .where({ tenant_id: tenantId })
        .whereNull('deleted_at')
        .count<{ count: string }[]>('* AS count')
        .first();
      return Number(row?.count ?? 0);
    },

    /**
     * All users who are not deleted, in the order of their ids. The record of the export is written first: whoever reads
     * half of it has read it.
     * @throws {AppError} `user_export.elsewhere` when another process writes the same, `user_export.nothing_to_resume`,
     *   `user_export.unusable` when the file cannot be opened, and `user_export.interrupted` when reading or writing
     *   failed on the way; the last two with the cause
     */
    async run(actor: Actor, request: ExportRequest): Promise<ExportResult> {
      const { resume = false } = request;
      const form = formOf(request);
      const partial = partialOf(request.file, actor.tenantId, form);
      const trx = await db.transaction();
      try {
        await lock(trx, partial);
        const part = resume ? await takeUp(partial, form) : NOTHING;
        const users = await write(trx, actor, partial, part, request);
        return { users, resumedAt: part.users };
      } finally {
        // Nothing was changed in it; without its connection it has ended already.
        await trx.rollback().catch(() => {});
      }
    },
  };
}

/** @throws {AppError} `user_export.elsewhere` */
async function lock(trx: Db, partial: string): Promise<void> {
  for (let attempt = 1; !(await tryTransactionLock(trx, `user-export:${partial}`)); attempt++) {
    if (attempt === LOCK_ATTEMPTS) throw fail('elsewhere');
    await pause(LOCK_PAUSE_MS);
  }
  // It waits for the disk, for longer than a request ever may.
  await trx.raw('SET LOCAL idle_in_transaction_session_timeout = 0');
}

function formOf({ format, withPasswordHashes = false }: ExportRequest): ExportForm {
  return { format, withPasswordHashes };
}

async function create(partial: string): Promise<FileHandle> {
  try {
    await rm(partial, { force: true });
    // For its owner alone: it holds everybody's data.
    return await open(partial, 'ax', 0o600);
  } catch (cause) {
    throw fail('unusable', { cause });
  }
}

/** Cuts off what is not whole at the end of an unfinished export. */
async function takeUp(partial: string, form: ExportForm): Promise<WrittenPart> {
  try {
    const part = await findWrittenPart(createReadStream(partial), form.format, exportColumns(form));
    await truncate(partial, part.bytes);
    return part;
  } catch (cause) {
    const isAbsent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw fail(isAbsent ? 'nothing_to_resume' : 'unusable', { cause });
  }
}

/** Absolute. Records that were written in another way, or by a version with other fields, are no part of this export. */
function partialOf(file: string, tenantId: string, form: ExportForm): string {
  const kind = JSON.stringify([tenantId, form.format, exportColumns(form)]);
  return `${resolve(file)}.${hash('sha256', kind).slice(0, 8)}.partial`;
}
