import { setTimeout as delay } from 'node:timers/promises';
import { createBrowserOperations } from './browser-operations.ts';
import type { Session } from './browser-operations.ts';
import { createOperatorOperations } from './operator-operations.ts';
import type { PlannedOperation, Shape } from './plan.ts';
import { createProtocolOperations } from './protocol-operations.ts';
import type { Caller } from './protocol-operations.ts';
import type { Issued, OperationOutcome, Recorder } from './record.ts';
import { at, bury, createSlots } from './slots.ts';
import type { Browser, Family, Slot } from './slots.ts';
import type { App, World } from './world.ts';

/** How long a client waits before it repeats a request that got no answer. */
const RETRY_MS = 150;
const MOST_TRIES = 4;

/**
 * Carries out planned operations the way clients would: an empty slot is filled first, a refresh whose
 * answer was lost is repeated, and what an answer gives goes into the slot.
 */
export function createExecutor(world: World, recorder: Recorder, shape: Shape) {
  const protocol = createProtocolOperations(world, recorder);
  const browsers = createBrowserOperations(world, recorder);
  const operator = createOperatorOperations(world, recorder);
  const slots = createSlots(world, shape);

  async function authorize(
    caller: Caller,
    slot: Slot,
  ): Promise<{ code: string; session: Session } | undefined> {
    const { browser, app, offline } = slot;
    await browser.signingIn;
    if (!browser.session) {
      const turn = Promise.withResolvers<void>();
      browser.signingIn = turn.promise;
      const { record, session } = await browsers.signIn(caller, browser.person, app, offline);
      browser.session = session;
      browser.signingIn = undefined;
      turn.resolve();
      return session && record.code ? { code: record.code, session } : undefined;
    }
    const { session } = browser;
    const record = await browsers.authorize(caller, session, app, offline);
    if (record.outcome === 'refused') endSession(browser, session);
    return record.code ? { code: record.code, session } : undefined;
  }

  function endSession(browser: Browser, session: Session): void {
    if (browser.session === session) browser.session = undefined;
  }

  function keep(family: Family, issued: Issued): void {
    if (issued.refresh && !family.refresh.includes(issued.refresh)) family.refresh.push(issued.refresh);
    if (issued.access) family.access.push(issued.access);
    if (issued.idToken) family.idTokens.push(issued.idToken);
  }

  /** A code and what it gave, or undefined where that failed. */
  async function newFamily(caller: Caller, slot: Slot, count: number): Promise<Family | undefined> {
    const authorized = await authorize(caller, slot);
    if (!authorized) return undefined;
    const { code, session } = authorized;
    const answers = await parallel(count, caller, (each) => protocol.exchange(each, slot.app, code));
    const family: Family = { code, session, refresh: [], access: [], idTokens: [] };
    for (const answer of answers) keep(family, answer);
    return family.refresh.length > 0 ? family : undefined;
  }

  async function renew(caller: Caller, slot: Slot): Promise<void> {
    const turn = Promise.withResolvers<void>();
    slot.filling = turn.promise;
    const family = await newFamily(caller, slot, 1);
    if (slot.family) bury(slot, slot.family);
    slot.family = family;
    slot.filling = undefined;
    turn.resolve();
  }

  async function familyOf(caller: Caller, slot: Slot): Promise<Family | undefined> {
    await slot.filling;
    if (!slot.family) await renew(caller, slot);
    return slot.family;
  }

  /** Repeats while nobody knows what became of the request. */
  async function refresh(caller: Caller, slot: Slot, family: Family, token: string) {
    let answer = await protocol.refresh(caller, slot.app, token);
    for (let tries = 1; tries < MOST_TRIES && isOpen(answer.outcome); tries += 1) {
      await delay(RETRY_MS);
      answer = await protocol.refresh({ ...caller, server: caller.server + tries }, slot.app, token);
    }
    keep(family, answer);
    if (answer.outcome === 'refused' && token === family.refresh.at(-1)) bury(slot, family);
  }

  const useFamily =
    (work: (caller: Caller, slot: Slot, family: Family, count: number) => Promise<unknown>) =>
    async (caller: Caller, slot: Slot, count: number): Promise<void> => {
      const family = await familyOf(caller, slot);
      if (family) await work(caller, slot, family, count);
    };

  const perform: Record<
    PlannedOperation['kind'],
    (caller: Caller, slot: Slot, count: number) => Promise<unknown>
  > = {
    renew,
    refresh: useFamily((caller, slot, family) => refresh(caller, slot, family, latest(family))),
    introspect: useFamily((caller, slot, family, count) =>
      protocol.introspect(caller, slot.app, at(family.access.slice(-count), 0)),
    ),
    use: useFamily((caller, { app }, family, count) =>
      useAccess(caller, app, at(family.access.slice(-count), 0)),
    ),
    verify: useFamily((caller, _slot, family) => protocol.verify(caller, family.idTokens.at(-1) ?? '')),
    'race-refresh': useFamily((caller, slot, family, count) => {
      const token = latest(family);
      return parallel(count, caller, (each) => refresh(each, slot, family, token));
    }),
    async 'race-exchange'(caller, slot, count) {
      const family = await newFamily(caller, slot, count);
      if (family) await useEnded(caller, slot, family);
    },
    'race-revoke': useFamily(async (caller, slot, family) => {
      const token = latest(family);
      await Promise.all([
        parallel(2, caller, (each) => refresh(each, slot, family, token)),
        protocol.revoke({ ...caller, server: caller.server + 1 }, slot.app, token),
      ]);
      bury(slot, family);
      await useEnded(caller, slot, family);
    }),
    'race-logout': useFamily(async (caller, slot, family) => {
      const { session } = family;
      endSession(slot.browser, session);
      const { promise: confirmed, resolve: onConfirm } = Promise.withResolvers<void>();
      const [answers] = await Promise.all([
        // An app that the session does not know yet changes it, any other one only builds on it.
        parallel(world.apps.length, caller, async (each) => {
          const app = at(world.apps, each.server - caller.server);
          await confirmed;
          const { code } = await browsers.authorize(each, session, app, false);
          return { app, code };
        }),
        browsers.logout(caller, session, onConfirm).finally(onConfirm),
        refresh(caller, slot, family, latest(family)),
      ]);
      await browsers.authorize(caller, session, slot.app, false);
      for (const { app, code } of answers) if (code) await protocol.exchange(caller, app, code);
      if (!slot.offline) bury(slot, family);
      await useEnded(caller, slot, family);
    }),
    'refresh-old': useFamily((caller, slot, family, count) =>
      refresh(caller, slot, family, at(family.refresh.slice(-count), 0)),
    ),
    'replay-code': useFamily(async (caller, slot, family) => {
      await protocol.exchange(caller, slot.app, family.code);
      bury(slot, family);
      await useEnded(caller, slot, family);
    }),
    'revoke-refresh': useFamily(async (caller, slot, family, count) => {
      await protocol.revoke(caller, slot.app, at(family.refresh.slice(-count), 0));
      bury(slot, family);
      await useEnded(caller, slot, family);
    }),
    'revoke-access': useFamily(async (caller, slot, family) => {
      const token = family.access.at(-1) ?? '';
      await protocol.revoke(caller, slot.app, token);
      for (const each of bothServers(caller)) {
        await protocol.introspect(each, slot.app, token);
        await useAccess(each, slot.app, token);
      }
    }),
    async logout(caller, { browser }) {
      const { session } = browser;
      if (!session) return;
      endSession(browser, session);
      await browsers.logout(caller, session);
    },
    async 'use-ended'(caller, slot) {
      if (slot.ended[0]) await useEnded(caller, slot, slot.ended[0]);
    },
    disable: (caller, { browser }) => operator.disable(caller, browser.person),
    enable: (caller, { browser }) => operator.enable(caller, browser.person),
    'rotate-keys': useFamily(async (caller, slot, family) => {
      const before = family.idTokens.at(-1);
      const { nextKid } = await operator.rotateKeys(caller);
      if (before === undefined || nextKid === undefined) return;
      for (const each of bothServers(caller)) {
        await protocol.awaitKey(each, nextKid);
        await protocol.verify(each, before);
      }
      await refresh(caller, slot, family, latest(family));
      for (const each of bothServers(caller)) await protocol.verify(each, family.idTokens.at(-1) ?? '');
    }),
  };

  function useAccess(caller: Caller, app: App, token: string): Promise<unknown> {
    return app.isForApi ? protocol.validate(caller, token) : protocol.userinfo(caller, token);
  }

  /** Nothing of it may work, unless it lives on for a reason that the model knows. */
  async function useEnded(caller: Caller, slot: Slot, family: Family): Promise<void> {
    const access = family.access.at(-1);
    const token = family.refresh.at(-1);
    if (access) await protocol.introspect({ ...caller, server: caller.server + 1 }, slot.app, access);
    if (access) await useAccess(caller, slot.app, access);
    if (token) await refresh({ ...caller, server: caller.server + 1 }, slot, family, token);
  }

  return {
    async run({ worker, server, kind, slot, count }: PlannedOperation): Promise<void> {
      await perform[kind]({ worker, server }, at(slots, slot), count);
    },

    /** At the end, with everything well again: whatever is alive must work, whatever ended must not. */
    async audit(): Promise<void> {
      await Promise.all(
        slots.map(async (slot, index) => {
          const caller = { worker: shape.workers + index, server: index };
          for (const family of slot.ended) await useEnded(caller, slot, family);
          if (!slot.family) return;
          const { family } = slot;
          if (family.access.length > 0)
            await protocol.introspect(caller, slot.app, family.access.at(-1) ?? '');
          await refresh(caller, slot, family, latest(family));
        }),
      );
    },
  };
}

function bothServers(caller: Caller): [Caller, Caller] {
  return [caller, { ...caller, server: caller.server + 1 }];
}

function latest(family: Family): string {
  return family.refresh.at(-1) ?? '';
}

function isOpen(outcome: OperationOutcome): boolean {
  return outcome === 'unavailable' || outcome === 'unknown' || outcome === 'not-sent';
}

/** At once, spread over the servers. */
function parallel<Result>(
  count: number,
  caller: Caller,
  work: (caller: Caller) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) => work({ ...caller, server: caller.server + index })),
  );
}
