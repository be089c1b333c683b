import type { Config } from './config.ts';

/** What a developer needs to know after a start, in a few lines. */
export function banner({
  config,
  demo,
  setup,
  hasInbox,
}: {
  config: Pick<Config, 'publicUrl'>;
  demo: { email: string; password: string; passwordFile: string } | undefined;
  setup: { url: string; expiresAt: Date } | undefined;
  /** No mail server is configured, so mails can be read here. */
  hasInbox: boolean;
}): string {
  const lines = ['', `  Gatehouse is running at  ${config.publicUrl}`, ''];
  if (demo) {
    lines.push(
      `  Try the demo             ${config.publicUrl}/demo`,
      `    sign in as             ${demo.email}`,
      `    with the password      ${demo.password}`,
      `    also kept in           ${demo.passwordFile}`,
      '',
    );
  }
  if (hasInbox) lines.push(`  Read the mails it sends  ${config.publicUrl}/dev/mail`, '');
  if (setup) {
    lines.push(
      '  Make yourself the administrator (once, within 30 minutes)',
      `    ${setup.url}`,
      '    A new link: npx gatehouse admin link',
      '',
    );
  }
  return `${lines.join('\n')}\n`;
}
