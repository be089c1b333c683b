import { AppError } from '../../../src/lib/errors.ts';
import type { Caller } from './protocol-operations.ts';
import type { Happening, HistoryRecord, OperationOutcome, Recorder } from './record.ts';
import type { Person, World } from './world.ts';

/** What an operator does; it goes to the database by itself and reaches the servers through it. */
export function createOperatorOperations({ services, tenant: { actor } }: World, recorder: Recorder) {
  async function perform(caller: Caller, happening: Happening, work: () => Promise<unknown>) {
    const invokedAt = recorder.now();
    let outcome: OperationOutcome = 'ok';
    let detail = '';
    try {
      await work();
    } catch (err) {
      outcome = err instanceof AppError ? 'refused' : 'unknown';
      detail = err instanceof Error ? err.message.slice(0, 100) : String(err);
    }
    return recorder.add({ ...caller, invokedAt, outcome, detail, ...happening });
  }

  return {
    disable: (caller: Caller, { id }: Person): Promise<HistoryRecord> =>
      perform(caller, { kind: 'disable', user: id }, () => services.users.disable(actor, id)),
    enable: (caller: Caller, { id }: Person): Promise<HistoryRecord> =>
      perform(caller, { kind: 'enable', user: id }, () => services.users.enable(actor, id)),
    /** @returns with the id of the key that is published from now on, to sign after the next rotation */
    async rotateKeys(caller: Caller): Promise<{ record: HistoryRecord; nextKid: string | undefined }> {
      let nextKid: string | undefined;
      const record = await perform(caller, { kind: 'rotate-keys' }, async () => {
        const transitions = await services.keys.rotate(actor, {});
        nextKid = transitions.find(({ alg, to }) => alg === 'RS256' && to === 'next')?.kid;
      });
      return { record, nextKid };
    },
  };
}
