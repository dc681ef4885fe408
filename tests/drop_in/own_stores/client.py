"""Calls the tasks, and says what it sees by results and by app.backend."""

import json

from shop import add, app, fail, later, parent, spawn


def told(call):
    """Everything that is known of it once it is ready."""
    call.get(timeout=120, propagate=False)
    value = call.result
    error = [type(value).__name__, list(value.args)] if isinstance(value, Exception) else None
    return {
        "state": call.state,
        "value": error or value,
        "traceback": bool(call.traceback),
        "children": len(call.children or ()),
        "name": call.name,
        "retries": call.retries,
        "queue": call.queue,
        "by backend": [app.backend.get_state(call.id), type(app.backend.get_result(call.id)).__name__],
    }


seen = {
    "add": told(add.delay(1, 2)),
    "fail": told(fail.delay("bolts")),
    "later": told(later.delay()),
    "parent": told(parent.delay()),
    "spawn": told(spawn.delay()),
}
unknown = app.AsyncResult("unknown")
seen["unknown"] = [unknown.state, unknown.result, app.backend.get_state("unknown")]
gone = add.delay(3, 4)
gone.get(timeout=120)
gone.forget()
seen["forgotten"] = app.AsyncResult(gone.id).state
app.backend.mark_as_done("by hand", 42)
app.backend.store_result("progress", {"done": 3}, "PROGRESS")
seen["by hand"] = [app.AsyncResult("by hand").get(timeout=120), app.AsyncResult("progress").info]
seen["waited for"] = app.backend.wait_for("by hand", timeout=120)["result"]
if "Whole" not in app.conf.result_backend:
    calls = [add.delay(1, n) for n in range(3)]
    group = app.GroupResult("group", calls)
    group.save()
    seen["group"] = app.GroupResult.restore("group").get(timeout=120)
print(json.dumps(seen))
