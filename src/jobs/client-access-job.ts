import type { Db } from '../db/database.ts';
import type { Logger } from '../lib/logger.ts';
import { continueEndingAccess, listEndingClients } from '../oidc/adapter/client-access.ts';
import type { Job } from './job.ts';

/**
 * Goes on with the end of the grants of disabled and deleted clients: batch by batch, each a transaction of its own,
 * so that a process that dies leaves the rest to the next one.
 */
export function createClientAccessJob({ db, log }: { db: Db; log: Logger }): Job {
  return {
    name: 'client-access',
    everySeconds: 2,
    async run(signal) {
      for (const client of await listEndingClients(db)) {
        try {
          let isMore = true;
          while (isMore) {
            if (signal.aborted) return;
            isMore = await continueEndingAccess(db, client);
          }
        } catch (err) {
          // The others' are due all the same.
          log.error({ err, client_id: client.clientId }, 'grants of a client could not be ended');
        }
      }
    },
  };
}
