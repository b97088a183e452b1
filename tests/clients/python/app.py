"""A SMART app with the unmodified fhirclient: GET /launch sends the browser to the server, GET
/callback takes the answer, reads with the token, and says what it read."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fhirclient import client
from fhirclient.models.observation import Observation

state = {}


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            if self.path.startswith("/launch"):
                self.launch()
            else:
                self.callback()
        except Exception as error:
            self.send_response(500)
            self.end_headers()
            self.wfile.write(repr(error).encode())

    def launch(self):
        smart = client.FHIRClient(
            settings={
                "app_id": os.environ["CLIENT_ID"],
                "app_secret": os.environ.get("CLIENT_SECRET") or None,
                "api_base": os.environ["ISS"],
                "redirect_uri": f"http://127.0.0.1:{self.server.server_port}/callback",
                "scope": os.environ["SCOPE"],
            },
            save_func=state.update,
        )
        # Reads the CapabilityStatement.
        url = smart.authorize_url
        state.update(smart.state)
        self.send_response(302)
        self.send_header("Location", url)
        self.end_headers()

    def callback(self):
        smart = client.FHIRClient(state=state, save_func=state.update)
        smart.handle_callback(self.path)
        patient = smart.patient
        found = Observation.where({"patient": smart.patient_id}).perform_resources(smart.server)
        refreshed = smart.reauthorize()
        again = Observation.where({"patient": smart.patient_id}).perform_resources(smart.server)
        said = {
            "patient": patient.id,
            "observations": len(found),
            "refreshed": refreshed and len(again) == len(found),
        }
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), App)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
