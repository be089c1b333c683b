import assert from 'node:assert/strict';
import { redirectUriFault, webUriFault } from '../../src/clients/client-uris.ts';

const web = { applicationType: 'web', allowLocalHttp: false } as const;
const native = { applicationType: 'native', allowLocalHttp: false } as const;
const development = { applicationType: 'web', allowLocalHttp: true } as const;

describe('redirect URIs', () => {
  for (const uri of [
    'https://app.example.com/callback',
    'https://app.example.com',
    'https://app.example.com:8443/cb?tenant=a',
    'https://[2001:db8::1]/cb',
    'https://app.example.com/a%20b/..c/d..',
  ]) {
    it(`accepts ${uri} of a web application`, () => {
      assert.equal(redirectUriFault(uri, web), undefined);
    });
  }

  for (const uri of [
    'http://127.0.0.1/cb',
    'http://127.0.0.1:7777/cb',
    'http://[::1]/cb',
    'http://localhost:5173/cb',
    'https://app.example.com/cb',
    'com.example.app:/cb',
    'com.example.app://cb',
  ]) {
    it(`accepts ${uri} of a native application`, () => {
      assert.equal(redirectUriFault(uri, native), undefined);
    });
  }

  for (const uri of [
    '',
    'callback',
    '/callback',
    '//app.example.com/cb',
    'http://app.example.com/cb',
    'http://localhost/cb',
    'http://127.0.0.1.example.com/cb',
    'https://app.example.com/cb#fragment',
    'https://app.example.com/cb#',
    'https://*.example.com/cb',
    'https://app.example.com/*',
    'https://user@app.example.com/cb',
    'https://user:password@app.example.com/cb',
    'https://@app.example.com/cb',
    'https://app.example.com@evil.example/cb',
    'https://app.example.com\\@evil.example/cb',
    'https:\\\\app.example.com/cb',
    'https:/app.example.com/cb',
    'https:app.example.com/cb',
    'https:///app.example.com/cb',
    'HTTPS://app.example.com/cb',
    'https://app.example.com/../cb',
    'https://app.example.com/a/..',
    'https://app.example.com/a/./cb',
    'https://app.example.com/%2e%2E/cb',
    'https://app.example.com/.%2e/cb',
    'https://app.example.com/c b',
    'https://app.example.com/cb\n',
    'https://app.example.com/\tcb',
    ' https://app.example.com/cb',
    'https://äpp.example.com/cb',
    'https://app。example.com/cb',
    'https://app.example.com/cb\u0000',
    'https://app.example.com:99999/cb',
    'https://app.example.com/<script>',
    'https://app.example.com/"',
    'https://',
    'https://?x',
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://app.example.com/1',
    'about:blank',
    'com.example.app:/cb',
    'ws://app.example.com/cb',
  ]) {
    it(`refuses ${JSON.stringify(uri)} of a web application`, () => {
      assert.match(redirectUriFault(uri, web) ?? 'accepted', /must|not/);
    });
  }

  for (const uri of [
    'http://app.example.com/cb',
    'http://127.0.0.2.example.com/cb',
    'http://localhost.example.com/cb',
    'http://10.0.0.1/cb',
    'https://localhost/cb',
    'https://127.0.0.1/cb',
    'myapp:/cb',
    'myapp://cb',
    'javascript:alert(1)',
    'java.script:',
    'com.example.app:',
    'com.example.app:/cb#x',
    'com.example..app:/cb',
    '.com.example:/cb',
    'com.example.app:/*',
    'com.example.app:/a/../b',
  ]) {
    it(`refuses ${uri} of a native application`, () => {
      assert.match(redirectUriFault(uri, native) ?? 'accepted', /must|not/);
    });
  }

  it('lets a web application use http on a loopback address of a development server only', () => {
    assert.equal(redirectUriFault('http://localhost:5173/cb', development), undefined);
    assert.equal(redirectUriFault('http://127.0.0.1:5173/cb', development), undefined);

    assert.match(redirectUriFault('http://localhost:5173/cb', web) ?? '', /must use https/);
    assert.match(redirectUriFault('http://app.example.com/cb', development) ?? '', /must use https/);
  });
});

describe('other addresses of a client', () => {
  it('must use https, or http on a loopback address of a development server', () => {
    assert.equal(webUriFault('https://app.example.com/logo.png', web), undefined);
    assert.equal(webUriFault('http://localhost:5173/logo.png', development), undefined);

    for (const uri of ['http://localhost:5173/x', 'http://app.example.com/x', 'javascript:alert(1)', 'x']) {
      assert.notEqual(webUriFault(uri, web), undefined, uri);
    }
    assert.notEqual(webUriFault('http://app.example.com/x', development), undefined);
    assert.notEqual(webUriFault('javascript:alert(1)', development), undefined);
  });
});
