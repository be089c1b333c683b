import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { systemActor } from '../../src/http/actor.ts';
import type { TestApp } from '../support/app.ts';
import { createApiMailWorld, withoutMail } from './api-mail-world.ts';
import type { ApiMailWorld } from './api-mail-world.ts';
import type { ApiWorld, Person } from './api-world.ts';

describe('what somebody else changes about how one signs in', () => {
  let mailWorld: ApiMailWorld;
  let app: TestApp;
  let world: ApiWorld;
  let administrator: Person;

  before(async () => {
    mailWorld = await createApiMailWorld();
    ({ app, world } = mailWorld);
    administrator = await world.person({ isAdministrator: true });
  });

  after(() => mailWorld.close());

  const freshEmail = () => `${randomBytes(6).toString('hex')}@example.com`;
  const noticesTo = async (recipient: string) =>
    (await app.db('mails').where({ recipient }).whereLike('template', '%for_you')).map(
      ({ template, locale }) => [template, locale],
    );
  const change = (token: string, id: string, body: object, on = world) =>
    on.call('PATCH', `/users/${id}`, { token, body, headers: { 'if-match': '*' } });

  it('is told at the former address, in the language of its owner, with nothing to take the account by', async () => {
    const { id, email } = await world.person();
    const newEmail = freshEmail();

    const { status } = await change(administrator.token, id, { email: newEmail, profile: { locale: 'fr' } });
    await change(administrator.token, id, { email: newEmail, profile: { name: 'Ana' } });
    await change(administrator.token, id, { email: freshEmail() });

    assert.equal(status, 200);
    assert.deepEqual(await noticesTo(email), [['email_changed_for_you', 'en']]);
    assert.deepEqual(await noticesTo(newEmail), [['email_changed_for_you', 'fr']]);
    const { parsed } = await mailWorld.sink.mailTo(email);
    assert.ok(parsed.text?.includes(newEmail));
    assert.doesNotMatch(`${parsed.text} ${parsed.html}`, /\/link\?/);
  });

  it('is not told of what people change themselves', async () => {
    const newEmail = freshEmail();
    const former = administrator.email;

    const { status } = await change(administrator.token, administrator.id, { email: newEmail });

    assert.equal(status, 200);
    assert.deepEqual(await noticesTo(former), []);
  });

  it('is told where an operator gives out a password', async () => {
    const { id, email } = await world.person();
    const operator = { ...systemActor(world.tenant.id), type: 'operator' as const };

    await app.services.users.setPassword(operator, id, 'velvet harbour tundra nine', { isTemporary: true });

    assert.deepEqual(await noticesTo(email), [['password_set_for_you', 'en']]);
  });

  it('changes also where no mail can be sent', async () => {
    await withoutMail(async (mute) => {
      const { id } = await mute.person();
      const { token } = await mute.person({ isAdministrator: true });

      const { status } = await change(token, id, { email: freshEmail() }, mute);

      assert.equal(status, 200);
    });
  });
});
