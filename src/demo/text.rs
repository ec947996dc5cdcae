//! What the apps' people say. Korean and English, as their users write.

/// Turns of a chat: question, answer.
pub(super) const DIALOGUES: [[(&str, &str); 3]; 6] = [
    [
        (
            "How do I return a pair of shoes that I bought online?",
            "You can return unworn shoes within 30 days. Open Orders, choose the pair, and print the label.",
        ),
        (
            "And if the box is damaged?",
            "A damaged box is fine as long as the shoes are unworn; wrap them in the outer carton.",
        ),
        (
            "When will I see the money?",
            "Refunds reach your card three to five working days after the parcel is scanned.",
        ),
    ],
    [
        (
            "배송이 얼마나 걸리나요?",
            "서울과 수도권은 보통 1~2일, 그 외 지역은 2~3일 걸립니다.",
        ),
        (
            "제주도도 같은가요?",
            "제주도는 항공 운송이라 하루가 더 걸리고 3,000원이 추가됩니다.",
        ),
        (
            "토요일에도 배송하나요?",
            "네, 토요일에는 배송하지만 일요일과 공휴일에는 쉽니다.",
        ),
    ],
    [
        (
            "Which plan includes single sign-on?",
            "Single sign-on is part of the Business plan and of Enterprise.",
        ),
        (
            "Can we switch in the middle of a month?",
            "Yes. The difference is charged pro rata from the day of the switch.",
        ),
        (
            "Do you support SCIM as well?",
            "SCIM provisioning is available on Enterprise only.",
        ),
    ],
    [
        (
            "비밀번호를 잊어버렸어요.",
            "로그인 화면에서 ‘비밀번호 재설정’을 누르면 이메일로 링크를 보내드립니다.",
        ),
        (
            "메일이 오지 않아요.",
            "스팸함을 확인해 주세요. 없으면 10분 뒤에 다시 요청하실 수 있습니다.",
        ),
        (
            "이메일 주소를 바꾸고 싶어요.",
            "설정의 ‘계정’에서 새 주소를 입력하고 인증하면 바뀝니다.",
        ),
    ],
    [
        (
            "My order shows delivered but nothing came.",
            "I am sorry. Please check with neighbours first; if it is still missing tomorrow we send it again.",
        ),
        (
            "It is order 48213.",
            "Thank you. Order 48213 was left at the front desk at 14:05 and signed for by the concierge.",
        ),
        (
            "Found it, thanks!",
            "Great to hear. Is there anything else I can do for you?",
        ),
    ],
    [
        (
            "환불 규정을 알려주세요.",
            "구매 후 7일 이내, 사용하지 않은 상품은 전액 환불됩니다.",
        ),
        (
            "디지털 상품도 되나요?",
            "내려받지 않은 디지털 상품만 환불할 수 있습니다.",
        ),
        (
            "부분 환불은 가능한가요?",
            "세트 상품은 품목별로 부분 환불이 가능합니다.",
        ),
    ],
];

/// Passages of the chatbot's documents.
pub(super) const PASSAGES: [&str; 5] = [
    "Returns: unworn items may be sent back within thirty days of delivery …",
    "배송 안내: 주문 후 영업일 기준 1~3일 안에 도착합니다 …",
    "Plans: Business adds single sign-on, audit log and priority support …",
    "계정: 이메일 주소는 설정에서 바꿀 수 있으며 인증이 필요합니다 …",
    "Refunds: the amount goes back to the method of payment …",
];

/// Disclosures of sustainability reports: text, framework, the standard that it answers.
pub(super) const DISCLOSURES: [(&str, &str, &str); 8] = [
    (
        "Our direct scope 1 greenhouse gas emissions fell to 1,200 tonnes of CO2e.",
        "GRI",
        "GRI 305-1",
    ),
    (
        "당사는 2024년 용수 사용량을 전년 대비 12% 줄였습니다.",
        "GRI",
        "GRI 303-5",
    ),
    (
        "Women hold 41 percent of management positions across the group.",
        "ESRS",
        "ESRS S1-9",
    ),
    (
        "The board reviews climate risks twice a year.",
        "ESRS",
        "ESRS E1-GOV",
    ),
    (
        "사업장에서 중대재해는 발생하지 않았습니다.",
        "GRI",
        "GRI 403-9",
    ),
    (
        "Total energy consumed was 84,000 gigajoules, 61 percent of it renewable.",
        "SASB",
        "TC-SI-130a.1",
    ),
    (
        "A scenario analysis at 1.5 and 3 degrees informs our strategy.",
        "TCFD",
        "TCFD Strategy c",
    ),
    (
        "협력사 행동규범 준수 여부를 매년 실사로 점검합니다.",
        "ESRS",
        "ESRS S2-4",
    ),
];

/// What is said in meetings, a chunk of speech each.
pub(super) const SPEECH: [&str; 6] = [
    "좋은 아침입니다. 지난주 배포 결과부터 공유하겠습니다.",
    "Good morning everyone, let us start with the numbers of last week.",
    "결제 오류는 금요일에 수정했고 재발은 없었습니다.",
    "Ben is still blocked on the staging database, Carla will help him today.",
    "다음 스프린트에서는 검색 품질을 먼저 다루기로 했습니다.",
    "We agreed to move the release to Thursday and to tell support.",
];

/// Answers of the meeting app: operation, request, answer.
pub(super) const MEETING_TASKS: [(&str, &str, &str); 3] = [
    (
        "summary",
        "다음 회의록을 세 문장으로 요약해 주세요.",
        "배포는 안정적이며 결제 오류가 해결되었습니다. 스테이징 데이터베이스 문제가 남아 있습니다. 릴리스는 목요일로 옮깁니다.",
    ),
    (
        "questions",
        "List the questions that the meeting left open.",
        "1. Who restores the staging database? 2. Does support know the new date? 3. 검색 품질은 어떻게 측정하나요?",
    ),
    (
        "agenda_parse",
        "Turn this agenda into JSON: title and minutes of each item.",
        "[{\"title\":\"배포 결과\",\"minutes\":10},{\"title\":\"Search quality\",\"minutes\":20}]",
    ),
];
