import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import {
  axeViolations,
  faultsOf,
  newPage,
  scrollsSideways,
  type BrowserOptions,
} from '../support/browser.ts';
import { SOURCE_LOCALE } from '../../src/i18n/translations.ts';
import { pageWriter, translations } from '../support/translations.ts';
import { samplePages, servePages, type PageServer, type Words } from './sample-pages.ts';

const LONG = 'Wolfeschlegelsteinhausenbergerdorff'.repeat(9).slice(0, 300);

const HOSTILE: Record<string, Words> = {
  markup: {
    app: '<script>window.pwned=1</script>',
    tenant: '<img src=x onerror="window.pwned=1">',
    email: '"><svg/onload=window.pwned=1>@acme.com',
    text: '\'"></p></main><style>*{display:none}</style>',
    host: '</title><script src=//evil.example></script>',
    url: 'javascript:window.pwned=1',
  },
  'quotes and templates': {
    app: '" onfocus="window.pwned=1" autofocus x="',
    tenant: "' autofocus onfocus='window.pwned=1",
    email: '`${window.pwned=1}`@acme.com',
    text: '<%= process.exit(1) %> {{constructor.constructor("window.pwned=1")()}} &lt;script&gt;',
    host: 'a" href="javascript:window.pwned=1',
    url: '" onclick="window.pwned=1',
  },
  'right to left': {
    app: 'دفتر الملاحظات',
    tenant: '\u202eemcA\u202c',
    email: 'משתמש@example.com',
    text: 'קריאת החשבוניות \u2067שלך',
    host: '\u202emoc.elgoog',
    url: 'https://xn--4dbrk0ce.example/',
  },
  'three hundred characters': {
    app: LONG,
    tenant: LONG,
    email: `${LONG}@acme.com`,
    text: LONG,
    host: `${LONG}.example`,
    url: `https://example.com/${LONG}`,
  },
};

describe('pages', () => {
  const pages = samplePages();
  let server: PageServer;

  before(async () => {
    server = await servePages(pages);
  });

  after(() => server.close());

  function browse(options: BrowserOptions = {}, { origin } = server): Promise<Page> {
    return newPage({ ...options, context: { baseURL: origin } });
  }

  for (const name of pages.keys()) {
    it(`${name} keeps to the content policy and is accessible, light and dark`, async () => {
      const page = await browse();
      await page.goto(`/${name}`);

      const light = await axeViolations(page);
      await page.emulateMedia({ colorScheme: 'dark' });
      const dark = await axeViolations(page, ['color-contrast']);

      assert.deepEqual({ light, dark }, { light: [], dark: [] });
      assert.deepEqual(faultsOf(page), []);
    });
  }

  it('are accessible from right to left', async () => {
    const arabic = samplePages(undefined, pageWriter('ar'));
    const arabicServer = await servePages(arabic);
    const page = await browse({}, arabicServer);

    const faults: string[] = [];
    for (const name of arabic.keys()) {
      await page.goto(`/${name}`);
      faults.push(...(await axeViolations(page)).map((fault) => `${name}: ${fault}`));
    }
    await arabicServer.close();

    assert.deepEqual(faults, []);
  }).timeout(90_000);

  it('need no scrolling sideways at 320 pixels', async () => {
    const page = await browse({ width: 320, height: 640 });

    const wide: string[] = [];
    for (const name of pages.keys()) {
      await page.goto(`/${name}`);
      if (await scrollsSideways(page)) wide.push(name);
    }

    assert.deepEqual(wide, []);
  });

  for (const locale of translations.locales.filter((one) => one !== SOURCE_LOCALE)) {
    it(`need no scrolling sideways at 320 pixels in ${locale}`, async () => {
      const translated = samplePages(undefined, pageWriter(locale));
      const server = await servePages(translated);
      const page = await browse({ width: 320, height: 640 }, server);

      const wide: string[] = [];
      for (const name of translated.keys()) {
        await page.goto(`/${name}`);
        if (await scrollsSideways(page)) wide.push(name);
      }
      await server.close();

      assert.deepEqual(wide, []);
    });
  }

  it('need no scrolling sideways with text twice as large', async () => {
    const page = await browse({ width: 640, height: 640 });

    const wide: string[] = [];
    for (const name of pages.keys()) {
      await page.goto(`/${name}`);
      await page.evaluate(`document.documentElement.style.fontSize = '200%'`);
      if (await scrollsSideways(page)) wide.push(name);
    }

    assert.deepEqual(wide, []);
  });

  it('offer nothing smaller than 44 pixels to press, links in a sentence apart', async () => {
    const page = await browse({ width: 360, height: 640 });

    const small: string[] = [];
    for (const name of pages.keys()) {
      await page.goto(`/${name}`);
      const found = await page.evaluate<string[]>(`
        [...document.querySelectorAll('button, input:not([type=hidden], .visually-hidden), .button, .links a, summary')]
          .filter((element) => element.checkVisibility())
          .filter((element) => (element.closest('label') ?? element).getBoundingClientRect().height < 44)
          .map((element) => element.outerHTML)`);
      small.push(...found.filter((html) => !html.includes('small')).map((html) => `${name}: ${html}`));
    }

    assert.deepEqual(small, []);
  });

  for (const [kind, words] of Object.entries(HOSTILE)) {
    it(`show ${kind} as they are, without running, breaking out or widening anything`, async () => {
      const hostile = samplePages(words);
      const hostileServer = await servePages(hostile);
      const page = await browse({ width: 320, height: 640 }, hostileServer);
      const dialogs: string[] = [];
      page.on('dialog', (dialog) => {
        dialogs.push(dialog.message());
        void dialog.dismiss();
      });
      const seen = new Set<string>();
      const wide: string[] = [];

      for (const [name, html] of hostile) {
        await page.goto(`/${name}`);
        const { tags, handlers, schemes, text, pwned } = await page.evaluate<Anatomy>(ANATOMY);
        assert.deepEqual(pwned, null, name);
        assert.deepEqual(handlers, [], name);
        assert.deepEqual(
          schemes.filter((scheme) => !['http:', 'https:'].includes(scheme)),
          [],
          name,
        );
        // What is dropped is links that go nowhere safe; nothing is added.
        assert.deepEqual(surplus(tags, tagsOf(pages.get(name) ?? html)), [], name);
        if (await scrollsSideways(page)) wide.push(name);
        for (const word of [words.app, words.tenant, words.text, words.host]) {
          if (text.includes(visible(word))) seen.add(word);
        }
      }

      assert.deepEqual(wide, []);
      assert.deepEqual(dialogs, []);
      assert.deepEqual(faultsOf(page), []);
      assert.equal(seen.size, new Set([words.app, words.tenant, words.text, words.host]).size);
      await hostileServer.close();
    });
  }

  it('weigh less than 60 KB at first load, and 3 KB of it in scripts', async () => {
    for (const name of ['identifier', 'password', 'consent-extended', 'setup', 'error-busy', 'landing']) {
      const page = await browse();
      const sizes: { type: string; bytes: number }[] = [];
      const pending: Promise<unknown>[] = [];
      page.on('requestfinished', (request) => {
        const size = request.sizes().then(({ responseBodySize, responseHeadersSize }) => {
          sizes.push({ type: request.resourceType(), bytes: responseBodySize + responseHeadersSize });
        });
        pending.push(size);
      });

      await page.goto(`/${name}`);
      await Promise.all(pending);

      const sum = (list: typeof sizes) => list.reduce((total, { bytes }) => total + bytes, 0);
      assert.ok(sizes.length >= 2, `${name}: ${sizes.length} requests`);
      assert.ok(sum(sizes) <= 60_000, `${name}: ${sum(sizes)} bytes`);
      assert.ok(sum(sizes.filter(({ type }) => type === 'script')) <= 3000, name);
    }
  });

  it('ask nobody but their own server', async () => {
    const page = await browse();
    const foreign: string[] = [];
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== server.origin) foreign.push(request.url());
    });

    for (const name of pages.keys()) await page.goto(`/${name}`);

    assert.deepEqual(foreign, []);
  });
});

interface Anatomy {
  tags: string[];
  handlers: string[];
  schemes: string[];
  text: string;
  pwned: unknown;
}

const ANATOMY = `(() => {
  const all = [...document.querySelectorAll('*')];
  const text = (document.title + ' ' + document.body.textContent + ' ' +
    [...document.querySelectorAll('input')].map((input) => input.value).join(' ')).replace(/\\s+/g, ' ');
  return {
    tags: all.map((element) => element.localName),
    handlers: all.flatMap((element) => element.getAttributeNames()).filter((name) => /^on|^style$/.test(name)),
    schemes: [...document.querySelectorAll('[href], [src], [action]')]
      .flatMap((element) => [element.href, element.src, element.action])
      .filter((url) => typeof url === 'string' && url !== '')
      .map((url) => new URL(url, location.href).protocol),
    text,
    pwned: window.pwned ?? null,
  };
})()`;

/** Of the ordinary page; its source is ours. */
function tagsOf(html: string): string[] {
  return [...html.matchAll(/<([a-z][a-z0-9]*)/g)].map(([, tag = '']) => tag);
}

/** What the first list has more of than the second. */
function surplus(list: readonly string[], expected: readonly string[]): string[] {
  const left = [...expected];
  return list.filter((item) => {
    const index = left.indexOf(item);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
}

function visible(word: string): string {
  return word.replace(/\s+/g, ' ');
}
