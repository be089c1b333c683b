import type { DemoSession } from './demo-sessions.ts';

/** Where the demo's sessions meet when several processes serve it; texts by session id. */
export interface SessionStore {
  get(id: string): Promise<string | undefined>;
  set(id: string, session: string): Promise<void>;
  delete(id: string): Promise<void>;
}

/** Without a refresh under way, which belongs to the process that does it. */
export function toText({ refreshing: _refreshing, attempts, ...session }: DemoSession): string {
  return JSON.stringify({ ...session, attempts: [...attempts] });
}

export function fromText(text: string): DemoSession {
  const { attempts, tokens, outcome, ...session } = JSON.parse(text);
  return {
    ...session,
    outcome,
    attempts: new Map(attempts),
    tokens: tokens && { ...tokens, expiresAt: new Date(tokens.expiresAt) },
    refreshing: undefined,
  };
}
