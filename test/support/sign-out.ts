import type { Page, UserAgent } from './user-agent.ts';

/** Asks to sign out as an app would and confirms it. @returns the answer to the confirmation */
export async function signOut(
  agent: UserAgent,
  issuer: string,
  params: Record<string, string> = {},
): Promise<Page> {
  const page = await agent.get(`${issuer}/logout?${new URLSearchParams(params).toString()}`);
  return agent.submit(page, '/logout/confirm', { logout: 'yes' });
}
