// A SMART app with the unmodified fhirclient: GET /launch sends the browser to the server, GET
// /callback takes the answer, reads with the token, and says what it read.
import { createServer } from "node:http";
import smart from "fhirclient";

const { ISS, CLIENT_ID, CLIENT_SECRET, SCOPE } = process.env;
const kept = new Map();
// The one browser's session.
const storage = {
  async get(key) { return kept.get(key); },
  async set(key, value) { kept.set(key, value); return value; },
  async unset(key) { return kept.delete(key); },
};

async function answer(request, response) {
  const api = smart(request, response, storage);
  if (request.url.startsWith("/launch")) {
    return api.authorize({
      iss: ISS,
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      scope: SCOPE,
      redirectUri: `http://127.0.0.1:${server.address().port}/callback`,
    });
  }
  const client = await api.ready();
  const patient = await client.patient.read();
  const observations = await client.patient.request("Observation", { flat: true });
  const user = await client.user.read();
  await client.refresh();
  const again = await client.patient.read();
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({
    patient: patient.id,
    observations: observations.length,
    user: `${user.resourceType}/${user.id}`,
    refreshed: again.id === patient.id,
  }));
}

const server = createServer((request, response) => {
  // fhirclient takes what Express adds.
  request.protocol = "http";
  answer(request, response).catch((error) => {
    response.statusCode = 500;
    response.end(String(error.stack));
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
