globalThis.SwaggerUIBundle({
  url: './v1/openapi.json',
  domNode: document.querySelector('#reference'),
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: 'list',
  // Nothing of what is tried here leaves for a server of somebody else.
  validatorUrl: null,
});
