import pickle

import pytest

from perfkit.errors import PlanError
from perfkit.service import protos
from perfkit.service.call import asked, stored
from perfkit.service.called import called
from tests.support import ROOT
from tests.support.plans import plan_compare

GREETER = ROOT / "examples/greeter"
NEEDS = {"call": "greeter.Greeter/Greet", "proto": str(GREETER / "greeter.proto"), "request": '{"name": "x"}'}


def known(**values):
    call = asked(**{**NEEDS, **values})
    return called(call, protos.compiled(call), seed=3)


def test_without_a_method_the_counter_is_called_and_nothing_else_may_be_said():
    assert asked("") is None
    with pytest.raises(PlanError, match=r"expect=text is of a method of your own; name it with call=, too"):
        asked("", expect="text")


def test_a_grpc_method_is_not_how_trials_are_taken():
    with pytest.raises(PlanError, match=r"looks like a gRPC method; say call=greeter\.Greeter/Greet"):
        plan_compare(method="greeter.Greeter/Greet")


@pytest.mark.parametrize("written", ["greeter.Greeter/Greet", "/greeter.Greeter/Greet", "greeter.Greeter.Greet"])
def test_a_method_may_be_written_as_other_tools_have_it(written):
    assert asked(written).method == "greeter.Greeter/Greet"


def test_a_call_comes_back_from_a_file_as_it_was():
    from dataclasses import asdict

    call = asked(**NEEDS, expect="text, details.token")
    assert stored(asdict(call)) == call
    assert stored(None) is None


def test_what_files_hold_is_part_of_the_question(tmp_path):
    lines = tmp_path / "requests.jsonl"
    lines.write_text('{"name": "a"}\n')
    one = asked(**{**NEEDS, "request": str(lines)})
    lines.write_text('{"name": "b"}\n')
    assert asked(**{**NEEDS, "request": str(lines)}) != one


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"call": "Greet"}, "call='Greet' names no method; write package.Service/Method"),
        ({"call": "greeter.Greeter/Hail"}, "service greeter.Greeter has no method Hail; it has Greet, GreetMany"),
        ({"call": "greeter.Waiter/Greet"}, "there is no service greeter.Waiter; there is greeter.Greeter"),
        ({"call": "greeter.Greeter/GreetMany"}, "GreetMany is a streaming method; perfkit measures unary ones"),
        (
            {"request": '{"nam": "x"}'},
            r'request \{"nam": "x"\} is no greeter.GreetRequest: .*"nam".*its fields are name, lang',
        ),
        ({"request": '{"visits": "many"}'}, r"is no greeter.GreetRequest: .*visits"),
        ({"request": "{name: x}"}, r"request= '\{name: x\}' is no JSON"),
        ({"request": "no/such/file"}, "can't be read .* write a request as JSON"),
        ({"proto": "no/such.proto"}, "no/such.proto is no file and no folder with .proto files"),
        ({"expect": "txt"}, "expect=txt: greeter.Greeting has no field txt; it has text, details"),
        ({"expect": "text.more"}, "expect=text.more: what is no message has no field more"),
        ({"metadata": "env:NO_SUCH_VARIABLE"}, "metadata=env:NO_SUCH_VARIABLE can't be read"),
    ],
)
def test_bad_input_is_one_line(values, message):
    with pytest.raises(PlanError, match=message) as told:
        known(**values)
    assert "\n" not in str(told.value)


def test_a_proto_that_does_not_parse_is_told_with_its_line(tmp_path):
    bad = tmp_path / "bad.proto"
    bad.write_text('syntax = "proto3";\nmessage A {\n  strin b = 1;\n}\n')
    with pytest.raises(PlanError, match=r"bad.proto does not parse: .*bad.proto:3:3: \"strin\" is not defined") as told:
        protos.compiled(asked("p.S/M", proto=str(bad)))
    assert "\n" not in str(told.value)


def test_a_folder_of_protos_is_where_their_imports_are_looked_for(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/name.proto").write_text(
        'syntax = "proto3";\npackage parts;\nmessage Name { string first = 1; }\n'
    )
    (tmp_path / "service.proto").write_text(
        'syntax = "proto3";\npackage whole;\nimport "parts/name.proto";\nimport "google/protobuf/empty.proto";\n'
        "service S { rpc Set(parts.Name) returns (google.protobuf.Empty); }\n"
    )
    call = asked("whole.S/Set", proto=str(tmp_path), request='{"first": "x"}')
    assert called(call, protos.compiled(call), 1).encoded() == b"\x0a\x01x"


def test_requests_of_a_file_go_out_as_protobuf_has_them():
    method = known(request=str(GREETER / "requests.jsonl"))
    told = method.settings
    assert [one["name"] for one in told["requests"]] == ["Ada", "Grace", "Émilie"]
    assert told["requests"][2]["visits"] == "9007199254740993", "JavaScript would round the number"
    assert told["seed"] is None
    assert known(random_requests=True).settings["seed"] == 3


def test_a_reply_must_have_what_was_named():
    method = known(expect="text,details.token")
    details = b"\x12\x03\x12\x01t"
    assert method.missing(b"\x0a\x02hi" + details) == ""
    assert method.missing(details) == "text"
    assert method.missing(b"\x0a\x02hi\x12\x00") == "details.token"
    assert method.missing(b"\xff") == "all: it is no greeter.Greeting"
    assert method.settings["expect"] == [["text"], ["details", "token"]]


def test_a_known_method_can_go_to_another_host():
    method = known()
    assert method.encoded()
    assert pickle.loads(pickle.dumps(method)) == method  # noqa: S301 - our own
