import assert from 'node:assert/strict';
import { issuerOf, mountPathOf } from '../../src/tenants/tenant.ts';

describe('issuer', () => {
  it('is the public URL itself for the default tenant', () => {
    assert.equal(issuerOf('https://id.example.com', { slug: 'default' }), 'https://id.example.com');
    assert.equal(mountPathOf({ slug: 'default' }), '');
  });

  it('lies under /t for every other tenant', () => {
    assert.equal(issuerOf('https://id.example.com', { slug: 'acme' }), 'https://id.example.com/t/acme');
    assert.equal(mountPathOf({ slug: 'acme' }), '/t/acme');
  });
});
