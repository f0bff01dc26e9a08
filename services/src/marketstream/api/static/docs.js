// The documentation of the API: Swagger UI shows openapi.json, which is beside the page.

const { SwaggerUIBundle } = globalThis;

if (SwaggerUIBundle) {
  SwaggerUIBundle({
    url: new URL('openapi.json', document.baseURI).href,
    dom_id: '#docs',
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis],
    layout: 'BaseLayout',
    validatorUrl: null, // the validator is a service on the internet
  });
} else {
  document.getElementById('notice').hidden = false;
}
