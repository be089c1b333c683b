import type { Config } from './config.ts';

/** What a developer needs to know after a start, in a few lines. */
export function banner({
  config,
  demo,
  setup,
}: {
  config: Pick<Config, 'publicUrl'>;
  demo: { email: string; password: string; passwordFile: string } | undefined;
  setup: { url: string; expiresAt: Date } | undefined;
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
