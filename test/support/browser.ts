import { existsSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from 'playwright-core';
import { cleanUpAfterEachTest, cleanUpAfterFile } from './cleanup.ts';

/**
 * One headless Chromium a process, launched at first use; one fresh context a test, closed after it.
 * Every page is watched: `faultsOf(page)` tells what a user's console would have complained about.
 */

export interface BrowserOptions {
  /** `false` browses as people without JavaScript do. Default: true. */
  javaScript?: boolean;
  colorScheme?: 'light' | 'dark';
  /** CSS pixels; default 1280 x 800. */
  width?: number;
  height?: number;
  /** Anything else that Playwright's `newContext` takes, such as `baseURL` or `extraHTTPHeaders`. */
  context?: BrowserContextOptions;
}

let launched: Promise<Browser> | undefined;
const openContexts = new Set<BrowserContext>();
const withoutJavaScript = new WeakSet<BrowserContext>();
const faults = new WeakMap<Page, string[]>();

/** A context of its own: cookies are shared by its pages only. Make several to be several people. */
export async function newContext(options: BrowserOptions = {}): Promise<BrowserContext> {
  launched ??= launch();
  const browser = await launched;
  const context = await browser.newContext({
    javaScriptEnabled: options.javaScript ?? true,
    colorScheme: options.colorScheme ?? 'light',
    // Colours that are fading would be judged as they are at that moment.
    reducedMotion: 'reduce',
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    ...options.context,
  });
  context.setDefaultTimeout(15_000);
  context.on('page', watch);
  if (options.javaScript === false) withoutJavaScript.add(context);
  openContexts.add(context);
  return context;
}

/** A page in a context of its own, closed after the test. */
export async function newPage(options: BrowserOptions = {}): Promise<Page> {
  const context = await newContext(options);
  return await context.newPage();
}

/**
 * What went wrong on a page since it was opened: script errors, console errors, policy violations, requests that failed
 * on the network. Answers with an error status are not faults: tests ask for error pages on purpose.
 */
export function faultsOf(page: Page): readonly string[] {
  return faults.get(page) ?? [];
}

/** Whether the page was opened for somebody with JavaScript. */
export function runsJavaScript(page: Page): boolean {
  return !withoutJavaScript.has(page.context());
}

/**
 * Accessibility violations of any impact, a readable line each. An empty list is the pass.
 * @param rules axe's, such as `color-contrast`; default: all
 * @throws where the page was opened without JavaScript: axe would wait for ever
 */
export async function axeViolations(page: Page, rules?: string[]): Promise<string[]> {
  if (!runsJavaScript(page)) throw new Error('axe runs in the page and needs JavaScript');
  // Legacy is what does not look into frames of other origins; we have no frames, and it takes half the time.
  const axe = new AxeBuilder({ page }).setLegacyMode(true);
  if (rules) axe.withRules(rules);
  const { violations } = await axe.analyze();
  return violations.flatMap(({ id, impact, help, nodes }) =>
    nodes.map((node) => `${id} (${impact}): ${help}: ${node.target.join(' ')}`),
  );
}

/** Whether the document is wider than its window (WCAG 1.4.10 at 320 px). */
export async function scrollsSideways(page: Page): Promise<boolean> {
  return await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
}

function watch(page: Page): void {
  const list: string[] = [];
  faults.set(page, list);
  page.on('pageerror', (err) => list.push(`script: ${err.message}`));
  page.on('console', (message) => {
    const text = message.text();
    const isStatus = text.startsWith('Failed to load resource: the server responded with a status of');
    if (message.type() === 'error' && !isStatus) list.push(`console: ${text}`);
  });
  page.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText ?? 'unknown';
    // Chromium aborts a request when the page is left.
    if (reason !== 'net::ERR_ABORTED') list.push(`request: ${request.url()}: ${reason}`);
  });
}

async function launch(): Promise<Browser> {
  const executablePath = [
    process.env['CHROMIUM_PATH'],
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
  ].find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('No Chromium found: install it, or set CHROMIUM_PATH to its program');
  // Chromium's own sandbox needs privileges that containers lack; the pages are ours.
  return await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

cleanUpAfterEachTest(async () => {
  const contexts = [...openContexts];
  openContexts.clear();
  await Promise.all(contexts.map((context) => context.close()));
});

cleanUpAfterFile(async () => {
  const browser = await launched;
  launched = undefined;
  await browser?.close();
});
